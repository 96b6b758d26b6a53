"""Components of HTML pages, by Jinja2 templates that escape every string that is not `Markup`."""

import functools
from collections.abc import Iterable
from typing import NamedTuple

import jinja2
from markupsafe import Markup, escape

EMPTY = Markup("")


class Section(NamedTuple):
    """Section of a page, with an identifier for the navigation."""

    identifier: str
    title: str
    content: Markup


@functools.cache
def jinja_environment() -> jinja2.Environment:
    """Return the environment of the templates, with escaping on."""
    loader = jinja2.PackageLoader("bowen.reporting", "templates")
    return jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )


def _render(component: str, *arguments: object) -> Markup:
    return getattr(jinja_environment().get_template("components.html").module, component)(*arguments)


def element(tag: str, *children: str, **attributes: object) -> Markup:
    """Return an HTML element; children that are not `Markup` are escaped.

    A trailing underscore of an attribute's name is dropped (`class_`), the others become hyphens.
    """
    names = (f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"' for name, value in attributes.items())
    return Markup(f"<{tag}{''.join(names)}>{join(children)}</{tag}>")


def join(parts: Iterable[str]) -> Markup:
    """Concatenate parts, escaping those that are not `Markup`."""
    return Markup("").join(parts)


def section(identifier: str, title: str, *parts: str) -> Section:
    """Return a section of several parts."""
    return Section(identifier, title, join(parts))


def prose(*parts: str) -> Markup:
    """Return a paragraph."""
    return element("p", *parts)


def mark_code(sentence: str) -> Markup:
    """Return a sentence with the words between backticks as code."""
    return join(element("code", part) if place % 2 else part for place, part in enumerate(sentence.split("`")))


def caption(text: str) -> Markup:
    """Return a remark in small type."""
    return _render("caption", text)


def figure(drawing: Markup, text: str = "", kind: str = "wide") -> Markup:
    """Return a drawing with its caption; on a narrow screen a wide one scrolls sideways instead of shrinking.

    Args:
        drawing: The drawing.
        text: The caption.
        kind: Width on the page: "wide", "half" or "third".
    """
    return _render("figure", drawing, text, kind)


def grid(*cells: str, columns: int = 2) -> Markup:
    """Arrange cells in columns where there is room, else in one column."""
    return _render("grid", cells, columns)


def table(title: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> Markup:
    """Return a table whose first column names the rows."""
    return _render("table", title, header, rows)


def swatch(color: str, text: str, *, has_dashes: bool = False) -> Markup:
    """Return a text after a stroke.

    Args:
        color: Name of the color in the style sheet.
        text: The text.
        has_dashes: True where the stroke has the dashes of that color, as lines by `bowen.reporting.theme.line_style`.
    """
    return _render("swatch", color, text, has_dashes)


def legend(swatches: Iterable[Markup], text: str = "") -> Markup:
    """Return the legend of a drawing.

    Args:
        swatches: Names after their colors.
        text: Words before them.
    """
    return _render("legend", swatches, text)


def fold(summary: str, *parts: str) -> Markup:
    """Return parts that are hidden until the reader opens them."""
    return _render("fold", summary, join(parts))
