"""HTML that cannot be spoiled by its content: every plain string is escaped where it enters a page."""

import html
from collections.abc import Iterable


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(tag: str, *children: str, **attributes: object) -> Markup:
    """Write an HTML element; children that are not `Markup` are escaped.

    A trailing underscore of an attribute's name is dropped (`class_`), the others become hyphens.
    """
    names = (f' {name.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"' for name, value in attributes.items())
    return Markup(f"<{tag}{''.join(names)}>{join(children)}</{tag}>")


def join(parts: Iterable[str]) -> Markup:
    """Put parts one after the other, escaping those that are not `Markup`."""
    return Markup("".join(part if isinstance(part, Markup) else html.escape(str(part)) for part in parts))


def section(identifier: str, title: str, *parts: str) -> Markup:
    """Write a section that the navigation can point to."""
    return element("section", element("h2", title), *parts, id=identifier)


def prose(*parts: str) -> Markup:
    """Write a paragraph."""
    return element("p", *parts)


def coded(sentence: str) -> Markup:
    """Write a sentence with the words between backticks as code."""
    return join(element("code", part) if place % 2 else part for place, part in enumerate(sentence.split("`")))


def caption(*parts: str) -> Markup:
    """Write a small remark on what stands above it."""
    return element("p", *parts, class_="caption")


def figure(drawing: Markup, said: str = "", kind: str = "wide") -> Markup:
    """Frame a drawing; a wide one scrolls sideways on a narrow screen instead of shrinking to nothing."""
    return element(
        "figure", element("div", drawing, class_="frame", tabindex=0), element("figcaption", said), class_=kind
    )


def grid(*cells: str, columns: int = 2) -> Markup:
    """Set cells side by side where there is room, else below each other."""
    return element("div", *cells, class_=f"grid grid-{columns}")


def table(title: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> Markup:
    """Write a table whose first column names the rows."""
    head = element("tr", *(element("th", cell, scope="col") for cell in header))
    body = [
        element("tr", element("th", first, scope="row"), *(element("td", cell) for cell in rest))
        for first, *rest in rows
    ]
    parts = (element("caption", title), element("thead", head), element("tbody", *body))
    return element("div", element("table", *parts), class_="frame", tabindex=0)


def key(named: Iterable[tuple[str, str]], said: str = "") -> Markup:
    """Name the lines of a drawing, each by its text and the name of its color in the style sheet."""
    swatches = (
        element("span", element("i", class_="stroke", style=f"color:var(--{color})"), text, class_="swatch")
        for text, color in named
    )
    return element("p", said, *swatches, class_="legend")


def fold(summary: str, *parts: str) -> Markup:
    """Hide parts behind a line that opens them."""
    return element("details", element("summary", summary), *parts)
