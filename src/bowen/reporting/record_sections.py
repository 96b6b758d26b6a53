"""The sections of the page about a record: origins, days and hours, energy, water, and the table of variables."""

from typing import Any

import xarray as xr

from bowen.evaluation.scores import step_seconds
from bowen.reporting import record_figures, theme
from bowen.reporting.html import (
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
from bowen.reporting.wording import DASH, MINUS, SEASON_NAMES, format_number, format_significant, to_display_unit

PARTS = {
    "record": "All steps",
    "measured": "Both fluxes measured",
    "moving": "No term constant or straight",
    "day": "Day",
    "night": "Night",
    **SEASON_NAMES,
}
BLANK = Markup("")
STUCK_SHOWN = 8
WORTH_TELLING = 0.01  # of the precipitation, falling while LE is missing


def origins(dataset: xr.Dataset, found: dict[str, Any]) -> Section:
    """Where the values of each variable come from, and where they do not move."""
    occurring = {origin for entry in found["variables"] for origin in entry["quality"]}
    names = [code.name.lower() for code in record_figures.ORIGINS if code.name.lower() in occurring]
    swatches = [(f"var(--{name})", name.replace("_", " ")) for name in names] + [("var(--rule)", "missing")]
    blocks = [element("span", element("i", style=f"background:{color}"), name) for color, name in swatches]
    if found["stuck"]:
        blocks.append(
            element(
                "span",
                element("i", style="background:var(--heat);height:.25rem"),
                "constant or straight for over a day",
            )
        )
    days = record_figures.Days(dataset.time.values, step_seconds(dataset)).together
    column = "Each column is a day" if days == 1 else f"Each column is {days} days"
    drawing = theme.svg(
        record_figures.origins(dataset, found["stuck"]), "origins", "Origin of the values of each variable."
    )
    said = f"{column}, filled from below with the share of its steps; right: share measured."
    return section(
        "origins",
        "Where the values come from",
        element("p", *blocks, class_="key"),
        figure(drawing, said),
        _stuck(found),
    )


def _stuck(found: dict[str, Any]) -> Markup:
    if not found["stuck"]:
        return BLANK
    longest_first = sorted(found["stuck"], key=lambda stretch: -stretch["hours"])
    rows = []
    for stretch in longest_first:
        (value, unit), (last, _) = (to_display_unit(stretch["name"], stretch[end]) for end in ("value", "last"))
        name = stretch["name"].replace("_", " ").capitalize()
        values = f"{format_significant(float(value))} {unit}"
        if stretch["value"] != stretch["last"]:
            values = f"{format_significant(float(value))} to {format_significant(float(last))} {unit}"
        rows.append([name, stretch["start"], f"{stretch['hours']:,g}", values])
    title = "Constant or on a straight line for longer than a day, though flagged as measured"
    head = ["Variable", "From", "Hours", "Value"]
    said = caption(
        "A broken sensor, or a gap somebody bridged without a flag. A coarse resolution may do this to calm variables "
        "for a day or so."
    )
    more = (
        fold(f"{len(rows) - STUCK_SHOWN} more", table("", head, rows[STUCK_SHOWN:]))
        if len(rows) > STUCK_SHOWN
        else BLANK
    )
    return join([table(title, head, rows[:STUCK_SHOWN]), more, said])


def fingerprints(dataset: xr.Dataset) -> Section:
    """Each variable by day and hour."""
    days = record_figures.Days(dataset.time.values, step_seconds(dataset)).together
    over = "" if days == 1 else f", means over {days} days"
    said = (
        f"Left to right the days, upward the hours of local standard time{over}; gray is missing. White lines: sunrise "
        "and sunset by the record's clock. Scales hold all but 1 % of the values at either end; fluxes have their "
        "middle at zero, and precipitation is stretched near zero."
    )
    drawing = theme.svg(record_figures.fingerprints(dataset), "fingerprints", "Each variable by day and hour.")
    return section("fingerprints", "Days and hours", figure(drawing, said))


def energy(dataset: xr.Dataset, balance: dict[str, Any]) -> Section:
    """How the energy balance closes."""
    if not balance["parts"]:
        return section("energy", "Energy", prose(balance["verdict"]))
    whole, against = balance["parts"]["record"], balance["against"]
    line = "" if whole["slope"] is None else (
        f"Line: {format_number(whole['slope'], 2)} x {'+' if whole['intercept'] >= 0 else MINUS} "
        f"{abs(whole['intercept']):.0f} W m⁻², r {format_number(whole['correlation'], 2)}. "
    )  # fmt: skip
    drawings = [
        figure(
            theme.svg(record_figures.closure(dataset, whole), "closure", f"Density of LE + H against {against}."),
            f"{line}Dashed: 1:1. Color deepens with the logarithm of the number of steps, {whole['n']:,} in all.",
            "half",
        ),
        figure(
            theme.svg(record_figures.mean_days(dataset), "mean-days", "Mean day of the terms of the energy balance."),
            "Mean day over the steps that have all terms. A lead of the available energy is heat stored in the canopy "
            "and above the plates.",
            "half",
        ),
    ]
    rows = [[PARTS[name], *_closure_cells(part)] for name, part in balance["parts"].items()]
    head = ["", "Ratio", "Slope", "Intercept, W m⁻²", "r", "LE + H, W m⁻²", "Available, W m⁻²", "Steps"]
    said = caption(
        f"Ratio: sum of LE + H over sum of {against}, where all are known; none where the mean of the latter is below "
        "10 W m⁻². Measured means quality flag 0. Day: more than 10 W m⁻² of shortwave radiation."
    )
    closes = table("How the energy balance closes", head, rows)
    return section("energy", "Energy", prose(balance["verdict"]), grid(*drawings), closes, said)


def _closure_cells(part: dict[str, Any]) -> list[str]:
    places = {"ratio": 2, "slope": 2, "intercept": 1, "correlation": 2, "turbulent": 1, "available": 1}
    return [*(_written_number(part[name], digits) for name, digits in places.items()), f"{part['n']:,}"]


def _written_number(value: float | None, places: int) -> str:
    return DASH if value is None else format_number(value, places)


def water(dataset: xr.Dataset, balance: dict[str, Any]) -> Section:
    """How precipitation and evapotranspiration add up."""
    if not balance["calendar"]:
        return section("water", "Water", prose(balance["verdict"]), *(prose(doubt) for doubt in balance["doubts"]))
    drawing = theme.svg(
        record_figures.water(dataset, balance["allowance"]),
        "water-sums",
        "Precipitation and evapotranspiration, cumulated.",
    )
    said = (
        "ET is LE / 2.45 MJ kg⁻¹; gaps of either count as the mean of the days around. Red: more has evaporated than "
        "has fallen; dashed: what the soil may have given."
    )
    if balance["unseen_share"] >= WORTH_TELLING:
        said += (
            f" {balance['unseen_share']:.0%} of the precipitation fell while LE was missing, and sums over their "
            "common steps would lack it."
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
        f"{balance['snow_share']:.0%} of the precipitation fell below 1 °C. Allowed for is {balance['allowance']:.0f} "
        "mm from the soil: 250 mm within a year, 100 mm from a season to the same season of another year."
    )
    text = [prose(mark_code(balance["verdict"])), *(prose(doubt) for doubt in balance["doubts"])]
    return section("water", "Water", *text, named, figure(drawing, said), table("Calendar years", head, rows), soil)


def variables(entries: list[dict[str, Any]]) -> Section:
    """Units, ranges and origins."""
    rows = []
    for entry in entries:
        values = []
        for bound in ("minimum", "mean", "maximum"):
            value, _ = to_display_unit(entry["name"], float("nan") if entry[bound] is None else entry[bound])
            values.append(format_significant(float(value)) if entry[bound] is not None else DASH)
        unit = to_display_unit(entry["name"], 0.0)[1]
        shares = [f"{entry[share]:.0%}" for share in ("measured", "filled", "missing")]
        name = entry["name"].replace("_", " ").capitalize()
        rows.append([name, unit, *values, *shares, _shares(entry["quality"])])
    head = ["Variable", "Unit", "Minimum", "Mean", "Maximum", "Measured", "Filled", "Missing", "Origin"]
    return section("variables", "Variables", table("", head, rows))


def _shares(quality: dict[str, float]) -> Markup:
    """Draw the shares of the origins as a bar; what is missing stays blank."""
    told = ", ".join(f"{origin.replace('_', ' ')} {share:.1%}" for origin, share in quality.items())
    blocks = [
        element("i", style=f"flex:{share:.4f};background:var(--{'rule' if origin == 'missing' else origin})")
        for origin, share in quality.items()
    ]
    return element("div", *blocks, class_="ribbon shares", role="img", aria_label=told, title=told)
