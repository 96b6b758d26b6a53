"""Sections of the page about a record: origins, days and hours, energy, water, and the table of variables."""

from typing import Any

import xarray as xr

from bowen.evaluation.scores import step_seconds
from bowen.reporting import record_figures, theme
from bowen.reporting.html import (
    EMPTY,
    Markup,
    Section,
    caption,
    element,
    figure,
    fold,
    grid,
    join,
    legend,
    mark_code,
    prose,
    section,
    swatch,
    table,
)
from bowen.reporting.wording import (
    DASH,
    MINUS,
    SEASON_NAMES,
    format_number,
    format_significant,
    to_display_statistics,
    to_display_unit,
)

CLOSURE_PARTS = {
    "record": "All steps",
    "measured": "Both fluxes flagged as measured",
    "moving": "No term constant or linear",
    "day": "Day",
    "night": "Night",
    **SEASON_NAMES,
}
MAX_STUCK_ROWS = 8
MIN_UNSEEN_SHARE = 0.01  # of the precipitation, falling while LE is missing


def render_origins(dataset: xr.Dataset, found: dict[str, Any]) -> Section:
    """Render the origin of the values of each variable, and stretches of constant values."""
    occurring = {origin for entry in found["variables"] for origin in entry["quality"]}
    names = [code.name.lower() for code in record_figures.ORIGINS if code.name.lower() in occurring]
    swatches = [(f"var(--{name})", name.replace("_", " ")) for name in names] + [("var(--rule)", "missing")]
    blocks = [element("span", element("i", style=f"background:{color}"), name) for color, name in swatches]
    if found["stuck"]:
        blocks.append(
            element(
                "span",
                element("i", style="background:var(--heat);height:.25rem"),
                "constant or linear for over a day",
            )
        )
    days = record_figures.DayGrid(dataset.time.values, step_seconds(dataset)).together
    column = "Each column is a day" if days == 1 else f"Each column is {days} days"
    drawing = theme.render_svg(
        record_figures.draw_origins(dataset, found["stuck"]), "origins", "Origin of the values of each variable."
    )
    text = f"{column}; heights are shares of its steps. Right: share measured."
    return section(
        "origins",
        "Origin of the values",
        element("p", *blocks, class_="key"),
        figure(drawing, text),
        _stuck(found),
    )


def _stuck(found: dict[str, Any]) -> Markup:
    if not found["stuck"]:
        return EMPTY
    longest_first = sorted(found["stuck"], key=lambda stretch: -stretch["hours"])
    rows = []
    for stretch in longest_first:
        (value, unit), (last, _) = (to_display_unit(stretch["name"], stretch[end]) for end in ("value", "last"))
        name = stretch["name"].replace("_", " ").capitalize()
        values = f"{format_significant(float(value))} {unit}"
        if stretch["value"] != stretch["last"]:
            values = f"{format_significant(float(value))} to {format_significant(float(last))} {unit}"
        rows.append([name, stretch["start"], f"{stretch['hours']:,g}", values])
    title = "Constant or linear for longer than a day, though flagged as measured"
    head = ["Variable", "From", "Hours", "Value"]
    text = caption(
        "A broken sensor, or a gap interpolated without a flag. At a coarse resolution, slow variables may look "
        "like this for a day."
    )
    more = (
        fold(f"{len(rows) - MAX_STUCK_ROWS} more", table("", head, rows[MAX_STUCK_ROWS:]))
        if len(rows) > MAX_STUCK_ROWS
        else EMPTY
    )
    return join([table(title, head, rows[:MAX_STUCK_ROWS]), more, text])


def render_fingerprints(dataset: xr.Dataset) -> Section:
    """Render each variable by day and hour."""
    days = record_figures.DayGrid(dataset.time.values, step_seconds(dataset)).together
    over = "" if days == 1 else f", means over {days} days"
    text = (
        f"Days from left to right, hours of local standard time upward{over}; gray is missing. White lines: sunrise "
        "and sunset by the clock of the record. Color scales span the 1st to the 99th percentile; those of fluxes are "
        "centered at zero, and that of precipitation is stretched near zero."
    )
    drawing = theme.render_svg(
        record_figures.draw_fingerprints(dataset), "fingerprints", "Each variable by day and hour."
    )
    return section("fingerprints", "Days and hours", figure(drawing, text))


def render_energy(dataset: xr.Dataset, balance: dict[str, Any]) -> Section:
    """Render the closure of the energy balance."""
    if not balance["parts"]:
        return section("energy", "Energy", prose(balance["verdict"]))
    whole, against = balance["parts"]["record"], balance["against"]
    line = "" if whole["slope"] is None else (
        f"Line: {format_number(whole['slope'], 2)} x {'+' if whole['intercept'] >= 0 else MINUS} "
        f"{abs(whole['intercept']):.0f} W m⁻², r {format_number(whole['correlation'], 2)}. "
    )  # fmt: skip
    drawings = [
        figure(
            theme.render_svg(
                record_figures.draw_closure(dataset, whole), "closure", f"Density of LE + H against {against}."
            ),
            f"{line}Dashed: 1:1. Color deepens with the logarithm of the number of steps, {whole['n']:,} in all.",
            "half",
        ),
        figure(
            theme.render_svg(
                record_figures.draw_mean_days(dataset), "mean-days", "Mean day of the terms of the energy balance."
            ),
            "Mean day over the steps with all terms. Where available energy leads, heat is stored in the canopy and "
            "above the heat flux plates.",
            "half",
        ),
    ]
    rows = [[CLOSURE_PARTS[name], *_closure_cells(part)] for name, part in balance["parts"].items()]
    head = ["", "Ratio", "Slope", "Intercept, W m⁻²", "r", "LE + H, W m⁻²", "Available, W m⁻²", "Steps"]
    text = caption(
        f"Ratio: sum of LE + H over sum of {against}, where all are known; a dash where the mean of the latter is "
        "below 10 W m⁻². Measured means quality flag 0. Day: more than 10 W m⁻² of shortwave radiation."
    )
    closes = table("Closure of the energy balance", head, rows)
    return section("energy", "Energy", prose(balance["verdict"]), grid(*drawings), closes, text)


def _closure_cells(part: dict[str, Any]) -> list[str]:
    places = {"ratio": 2, "slope": 2, "intercept": 1, "correlation": 2, "turbulent": 1, "available": 1}
    return [*(_written_number(part[name], digits) for name, digits in places.items()), f"{part['n']:,}"]


def _written_number(value: float | None, places: int) -> str:
    return DASH if value is None else format_number(value, places)


def render_water(dataset: xr.Dataset, balance: dict[str, Any]) -> Section:
    """Render cumulative precipitation and evapotranspiration."""
    if not balance["calendar"]:
        return section("water", "Water", prose(balance["verdict"]), *(prose(doubt) for doubt in balance["doubts"]))
    drawing = theme.render_svg(
        record_figures.draw_water(dataset, balance["allowance"]),
        "water-sums",
        "Cumulative precipitation and evapotranspiration.",
    )
    text = (
        "ET is LE / 2.45 MJ kg⁻¹; gaps of either are filled with the mean of the days around. Red: ET exceeds P; "
        "dashed: the water that soil storage may have supplied."
    )
    if balance["unseen_share"] >= MIN_UNSEEN_SHARE:
        text += (
            f" {balance['unseen_share']:.0%} of the precipitation fell while LE was missing; sums over common steps "
            "would omit it."
        )
    totals = {name: sum(year[name] for year in balance["calendar"]) for name in record_figures.WATER_COLORS}
    named = legend(
        swatch(color, f"{name.capitalize()} {format_number(totals[name], 0)} mm")
        for name, color in record_figures.WATER_COLORS.items()
    )
    head = ["Year", "Days", "P, mm", "ET, mm", f"P {MINUS} ET, mm"]
    rows = [
        [
            str(year["year"]),
            format_number(year["days"], 0),
            format_number(year["precipitation"], 0),
            format_number(year["evapotranspiration"], 0),
            format_number(year["precipitation"] - year["evapotranspiration"], 0),
        ]
        for year in balance["calendar"]
    ]
    soil = caption(
        f"{balance['snow_share']:.0%} of the precipitation fell below 1 °C. The allowance for soil storage is "
        f"{balance['allowance']:.0f} mm: 250 mm within a year, 100 mm from a season to the same season of another year."
    )
    verdict = [prose(mark_code(balance["verdict"])), *(prose(doubt) for doubt in balance["doubts"])]
    return section("water", "Water", *verdict, named, figure(drawing, text), table("Calendar years", head, rows), soil)


def render_variables(entries: list[dict[str, Any]]) -> Section:
    """Render the units, ranges and origins of the variables."""
    rows = []
    for entry in entries:
        numbers, unit = to_display_statistics(entry)
        values = [DASH if number is None else format_significant(number) for number in numbers]
        shares = [f"{entry[share]:.0%}" for share in ("measured", "filled", "missing")]
        name = entry["name"].replace("_", " ").capitalize()
        rows.append([name, unit, *values, *shares, _shares(entry["quality"])])
    head = ["Variable", "Unit", "Minimum", "Mean", "Maximum", "Measured", "Filled", "Missing", "Origin"]
    text = caption("Minimum and maximum of precipitation are those of days.")
    return section("variables", "Variables", table("", head, rows), text)


def _shares(quality: dict[str, float]) -> Markup:
    """Render the shares of the origins as a bar, blank where values are missing."""
    shares = ", ".join(f"{origin.replace('_', ' ')} {share:.1%}" for origin, share in quality.items())
    blocks = [
        element("i", style=f"flex:{share:.4f};background:var(--{'rule' if origin == 'missing' else origin})")
        for origin, share in quality.items()
    ]
    return element("div", *blocks, class_="ribbon shares", role="img", aria_label=shares, title=shares)
