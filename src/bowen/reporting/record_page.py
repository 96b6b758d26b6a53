"""Page about a record: its content, whether it can drive or train a model, and doubts about its data."""

from pathlib import Path
from typing import Any

import xarray as xr

from bowen.reporting.html import Markup, Section, caption, element, mark_code, prose, section
from bowen.reporting.wording import VERDICT_MARKS


def write_inspection(path: Path | str, dataset: xr.Dataset, found: dict[str, Any]) -> Path:
    """Write a self-contained HTML page about a record atomically.

    Args:
        path: The file to write.
        dataset: The canonical record.
        found: Its summary by `summarize_record`.

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
            record_sections.render_origins(dataset, found),
            record_sections.render_fingerprints(dataset),
            record_sections.render_energy(dataset, found["energy_balance"]),
            record_sections.render_water(dataset, found["water_balance"]),
            record_sections.render_variables(found["variables"]),
            _assumptions(found, attribution(dataset)),
        ]
    facts = [
        element("h1", f"The record of {found['site']['site']}"),
        _problem(found["usable"]),
        tables.render_site_facts(dataset),
    ]
    return write_page(path, f"The record of {found['site']['site']}", "bowen · record", facts, sections)


def write_refusal(path: Path | str, name: str, reason: str) -> Path:
    """Write the page of a file that cannot be read, with the reason.

    Args:
        path: The file to write.
        name: The file that cannot be read.
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


def _banner(heading: str, reason: str) -> Markup:
    return element("div", element("b", f"{heading}."), element("p", reason), class_="problem", role="alert")


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


def _assumptions(found: dict[str, Any], data_source: str) -> Section:
    items = [element("li", line) for line in found["assumptions"]]
    listed = element("ul", *items) if items else prose("None: the file has all metadata needed.")
    return section(
        "assumptions",
        "Assumptions",
        listed,
        caption(data_source),
        caption(f"Fingerprint of the record: {found['fingerprint']}"),
    )
