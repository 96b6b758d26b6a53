"""The page about a record: what it holds, whether it can be used, and what is doubtful about it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import xarray as xr

from bowen.files import replace_atomically
from bowen.reporting.html import Markup, caption, coded, element, prose, section
from bowen.reporting.wording import MARKS


def write_inspection(path: Path | str, dataset: xr.Dataset, found: dict[str, Any]) -> Path:
    """Write one self-contained HTML page about a record, whole or not at all.

    Args:
        path: Where to.
        dataset: The canonical dataset.
        found: What `bowen.data.summarize_record` says of it.

    Returns:
        The path written.

    Raises:
        RunError: The file cannot be written.
    """
    # Imported here because they bring matplotlib: a second that only a page should cost.
    import matplotlib

    from bowen.reporting import record_sections, tables, theme
    from bowen.reporting.model_sections import attribution

    with matplotlib.rc_context(theme.STYLE):
        body = [
            _verdicts(found["verdicts"]),
            record_sections.origins(dataset, found),
            record_sections.fingerprints(dataset),
            record_sections.energy(dataset, found["energy_balance"]),
            record_sections.water(dataset, found["water_balance"]),
            record_sections.variables(found["variables"]),
            _assumptions(found, attribution(dataset)),
        ]
    facts = [element("h1", f"The record of {found['site']['site']}"), _problem(found["usable"]), tables.facts(dataset)]
    return _written(path, f"The record of {found['site']['site']}", facts, [part for part in body if part])


def write_refusal(path: Path | str, name: str, reason: str) -> Path:
    """Write the page of a file that cannot be read: the reason is all there is to say.

    Args:
        path: Where to.
        name: The file.
        reason: Why it cannot be read, and what to do.

    Returns:
        The path written.

    Raises:
        RunError: The file cannot be written.
    """
    return _written(path, name, [element("h1", name), _banner("This file cannot be read", reason)], [])


def _written(path: Path | str, title: str, top: Iterable[Markup], body: list[Markup]) -> Path:
    from bowen.reporting import theme
    from bowen.reporting.model_page import page

    header = element("header", element("p", "bowen · record", class_="eyebrow"), *top)
    text = page(title, theme.style_sheet(), header, body)
    with replace_atomically(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return Path(path)


def _problem(usable: dict[str, str | None]) -> Markup:
    if reason := usable["drive"]:
        return _banner("This record cannot drive a model", reason)
    if reason := usable["train"]:
        return _banner("This record can drive a model but not train one", reason)
    return Markup("")


def _banner(what: str, reason: str) -> Markup:
    return element("div", element("b", f"{what}."), element("p", reason), class_="problem", role="alert")


def _verdicts(verdicts: list[dict[str, str]]) -> Markup:
    items = [
        element(
            "li",
            element("i", MARKS[verdict["mark"]], class_=verdict["mark"], role="img", aria_label=verdict["mark"]),
            element("b", verdict["about"].capitalize()),
            element("span", coded(verdict["sentence"])),
        )
        for verdict in verdicts
    ]
    return section("verdicts", "Verdicts", element("ul", *items, class_="verdicts"))


def _assumptions(found: dict[str, Any], whose: str) -> Markup:
    items = [element("li", line) for line in found["assumptions"]]
    listed = element("ul", *items) if items else prose("None: the file says all that is needed.")
    return section(
        "assumptions",
        "Assumptions",
        listed,
        caption(whose),
        caption(f"Fingerprint of the record: {found['fingerprint']}"),
    )
