"""The page about a record: what it holds, whether it can be used, and what is doubtful about it."""

from pathlib import Path
from typing import Any

import xarray as xr

from bowen.reporting.html import Markup, Section, caption, element, mark_code, prose, section
from bowen.reporting.wording import VERDICT_MARKS


def write_inspection(path: Path | str, dataset: xr.Dataset, found: dict[str, Any]) -> Path:
    """Write one self-contained HTML page about a record, whole or not at all.

    Args:
        path: Where to.
        dataset: The canonical dataset.
        found: Result of `summarize_record`.

    Returns:
        The path written.

    Raises:
        RunError: The file cannot be written.
    """
    # Imported here because they bring matplotlib: a second that only a page should cost.
    import matplotlib

    from bowen.reporting import record_sections, tables, theme
    from bowen.reporting.model_sections import attribution
    from bowen.reporting.page import write_page

    with matplotlib.rc_context(theme.STYLE):
        sections = [
            _verdicts(found["verdicts"]),
            record_sections.origins(dataset, found),
            record_sections.fingerprints(dataset),
            record_sections.energy(dataset, found["energy_balance"]),
            record_sections.water(dataset, found["water_balance"]),
            record_sections.variables(found["variables"]),
            _assumptions(found, attribution(dataset)),
        ]
    facts = [element("h1", f"The record of {found['site']['site']}"), _problem(found["usable"]), tables.facts(dataset)]
    return write_page(path, f"The record of {found['site']['site']}", "bowen · record", facts, sections)


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
    from bowen.reporting.page import write_page  # here, because it brings matplotlib

    return write_page(
        path, name, "bowen · record", [element("h1", name), _banner("This file cannot be read", reason)], []
    )


def _problem(usable: dict[str, str | None]) -> Markup:
    if reason := usable["drive"]:
        return _banner("This record cannot drive a model", reason)
    if reason := usable["train"]:
        return _banner("This record can drive a model but not train one", reason)
    return Markup("")


def _banner(what: str, reason: str) -> Markup:
    return element("div", element("b", f"{what}."), element("p", reason), class_="problem", role="alert")


def _verdicts(verdicts: list[dict[str, str]]) -> Section:
    items = [
        element(
            "li",
            element(
                "i", VERDICT_MARKS[verdict["mark"]], class_=verdict["mark"], role="img", aria_label=verdict["mark"]
            ),
            element("b", verdict["about"].capitalize()),
            element("span", mark_code(verdict["sentence"])),
        )
        for verdict in verdicts
    ]
    return section("verdicts", "Verdicts", element("ul", *items, class_="verdicts"))


def _assumptions(found: dict[str, Any], whose: str) -> Section:
    items = [element("li", line) for line in found["assumptions"]]
    listed = element("ul", *items) if items else prose("None: the file says all that is needed.")
    return section(
        "assumptions",
        "Assumptions",
        listed,
        caption(whose),
        caption(f"Fingerprint of the record: {found['fingerprint']}"),
    )
