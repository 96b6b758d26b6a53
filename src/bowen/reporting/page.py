"""Skeleton of a page: style sheet, header, navigation and sections in one self-contained file."""

from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from bowen.files import replace_atomically
from bowen.reporting.html import Markup, Section, jinja_environment, join
from bowen.reporting.theme import style_sheet


def write_page(
    path: Path | str, title: str, eyebrow: str, header: Iterable[Markup], sections: Iterable[Section | None]
) -> Path:
    """Write a page atomically and return its path.

    Args:
        path: The file to write.
        title: Title of the browser window.
        eyebrow: Kind of the page, in small type above its header.
        header: Elements above the navigation.
        sections: Sections in order; those that are None are left out.

    Raises:
        RunError: The file cannot be written.
    """
    text = (
        jinja_environment()
        .get_template("page.html")
        .render(
            title=title,
            eyebrow=eyebrow,
            style=style_sheet(),
            header=join(header),
            sections=[section for section in sections if section],
            version=_version(),
        )
    )
    with replace_atomically(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return Path(path)


def _version() -> str:
    try:
        return metadata.version("bowen")
    except metadata.PackageNotFoundError:
        return "from a source tree"
