"""Tables of the report: site facts, scores, parameters and budgets."""

import itertools
from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr

from bowen.data.checks.night_coverage import is_filled_without_flags
from bowen.data.quality_flags import is_measured
from bowen.data.splits import SPLITS
from bowen.evaluation.metrics import METRICS, Metric
from bowen.evaluation.scores import TARGETS, step_seconds
from bowen.reporting.html import Markup, element, fold, grid, join, swatch, table
from bowen.reporting.land_figures import find_simulation
from bowen.reporting.study import Study, parameter_names
from bowen.reporting.wording import (
    DASH,
    FLUX_SYMBOLS,
    VEGETATION_NAMES,
    describe_variable,
    flux_name,
    format_number,
    format_significant,
)


def render_site_facts(observed: xr.Dataset) -> Markup:
    """List the known facts about the tower and its record."""
    attributes = observed.attrs
    first, last = pd.DatetimeIndex(observed.time.values[[0, -1]])
    targets = [target for target in TARGETS if target in observed]
    known = {
        "Site": attributes.get("site"),
        "Vegetation": VEGETATION_NAMES.get(attributes.get("igbp", ""), attributes.get("igbp")),
        "Position": _position(attributes),
        "Elevation": _meters(attributes, "elevation"),
        "Canopy": _meters(attributes, "canopy_height"),
        "Sensors": _meters(attributes, "reference_height"),
        "Record": f"{first:%b %Y} {DASH} {last:%b %Y}",
        "Step": f"{step_seconds(observed) / 60:g} min",
        "Source": attributes.get("source"),
        "Unflagged" if is_filled_without_flags(observed) else "Measured": ", ".join(
            f"{FLUX_SYMBOLS[target]} {100 * is_measured(observed, target).mean():.0f} %" for target in targets
        ),
    }
    cells = [element("div", element("dt", name), element("dd", str(value))) for name, value in known.items() if value]
    return element("dl", *cells, class_="facts")


def _position(attributes: dict) -> str:
    if "latitude" not in attributes or "longitude" not in attributes:
        return ""
    latitude, longitude = float(attributes["latitude"]), float(attributes["longitude"])
    return (
        f"{abs(latitude):.3f}° {'N' if latitude >= 0 else 'S'}, {abs(longitude):.3f}° {'E' if longitude >= 0 else 'W'}"
    )


def _meters(attributes: dict, name: str) -> str:
    return f"{attributes[name]:g} m" if np.isfinite(attributes.get(name, np.nan)) else ""


def render_split(study: Study) -> Markup:
    """Render the split of the record as a strip of blocks."""
    labels = study.split
    edges = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]])
    lengths = np.diff(np.r_[edges, len(labels)])
    blocks = [
        element("i", class_=f"split-{labels[start] or 'unused'}", style=f"flex:{length}")
        for start, length in zip(edges, lengths, strict=True)
    ]
    present = [label for label in ("train", "validation", "test", "") if (labels == label).any()]
    key = [
        element("span", element("i", class_=f"split-{label or 'unused'}"), f"{label or 'unused'} {share:.0f} %")
        for label, share in ((label, 100 * (labels == label).mean()) for label in present)
    ]
    return join(
        [
            element("div", *blocks, class_="ribbon", role="img", aria_label="Split of the record in time"),
            element("p", *key, class_="key"),
        ]
    )


def render_score_bars(study: Study) -> Markup:
    """Render the NSE of each model on the test steps as bars."""
    cards = []
    for target in study.targets:
        rows = [_bar(study, model, target) for model in study.simulations]
        title = element("h3", flux_name(target))
        cards.append(element("div", title, *rows, class_="card"))
    return grid(*cards)


def _bar(study: Study, model: str, target: str) -> Markup:
    nse, rmse, bias = (study.score(model, target, metric) for metric in ("nse", "rmse", "bias"))
    color = f"var(--{study.colors[model]})"
    reach = element("i", style=f"width:{100 * np.clip(np.nan_to_num(nse), 0, 1):.1f}%;background:{color}")
    return element(
        "div",
        element("span", model, class_="name", style=f"color:{color}"),
        element("span", reach, class_="bar"),
        element("b", format_number(nse, 3)),
        element("small", f"RMSE {format_number(rmse, 1)} · bias {format_number(bias, 1)} W m⁻²"),
        class_="skill",
    )


def render_score_tables(study: Study) -> Markup:
    """Tabulate the test scores, with those of the other splits folded."""
    shown = {split: join(_score_tables(study, split)) for split in reversed(SPLITS)}
    folded = [fold(f"Scores on the {split} blocks", shown[split]) for split in ("validation", "train") if shown[split]]
    return join([shown["test"], *folded])


def _score_tables(study: Study, split: str) -> Iterator[Markup]:
    steps = {"native": f"{study.step / 60:g}-minute steps", "daily": "daily means"}
    metrics = [metric for metric in METRICS.values() if "standard" in metric.sets]
    headings = [metric.heading("W m⁻²") for metric in metrics]
    for resolution, target in itertools.product(steps, study.targets):
        models = [model for model in study.simulations if (model, split, target, resolution, "n") in study.values]
        if models:
            columns = [
                _score_cells(metric, [study.score(model, target, metric.name, split, resolution) for model in models])
                for metric in metrics
            ]
            rows = [[model_swatch(study, model), *cells] for model, *cells in zip(models, *columns, strict=True)]
            yield table(f"{flux_name(target)} · {split} · {steps[resolution]}", ["Model", *headings], rows)


def _score_cells(metric: Metric, values: list[float]) -> list[str]:
    """Format the scores of several models, in bold the best at the digits shown."""
    distances = [metric.distance(round(value, metric.digits)) for value in values]
    written = [format_number(value, metric.digits) for value in values]
    least = np.nanmin([*distances, np.inf])
    return [
        element("b", text) if len(values) > 1 and distance == least else text
        for text, distance in zip(written, distances, strict=True)
    ]


def model_swatch(study: Study, model: str) -> Markup:
    """Return the name of a model after a stroke in its color."""
    return swatch(study.colors[model], model, has_dashes=True)


def render_parameter_table(study: Study) -> Markup:
    """Tabulate the learned parameters: bounds, default, and the values of each model."""
    models = list(study.physical)
    rows = []
    for name in dict.fromkeys(name for data in study.physical.values() for name in parameter_names(data)):
        variable = find_simulation(study, name)[name]
        meaning, unit = describe_variable(variable)
        low, high, default = (
            format_significant(variable.attrs.get(key, np.nan)) for key in ("lower_bound", "upper_bound", "default")
        )
        values = [_value(study, model, name) for model in models]
        rows.append([f"{meaning} [{unit}]" if unit else meaning, f"{low} {DASH} {high}", default, *values])
    return table("Values of the learned parameters", ["Parameter", "Bounds", "Default", *models], rows)


def _value(study: Study, model: str, name: str) -> Markup:
    if name not in study.physical[model]:
        return Markup(DASH)
    low, median, high = np.quantile(study.physical[model][name].values, [0.05, 0.5, 0.95])
    written = (
        format_significant(median)
        if np.isclose(low, high, rtol=1e-3)
        else f"{format_significant(median)} ({format_significant(low)} {DASH} {format_significant(high)})"
    )
    start, end = (locate_between_bounds(value, study.physical[model][name].attrs) for value in (low, high))
    if start is None or end is None:
        return element("span", written)
    mark = element("i", style=f"left:{start:.1f}%;right:{100 - end:.1f}%;background:var(--{study.colors[model]})")
    return join([element("span", written), element("span", mark, class_="range")])


def locate_between_bounds(value: float, attributes: dict) -> float | None:
    """Return the position of a value between its bounds, in percent; None where there are no bounds."""
    if "lower_bound" not in attributes or "upper_bound" not in attributes:
        return None
    scale = np.log if attributes.get("log_scale") and attributes["lower_bound"] > 0 else float
    low, high = scale(attributes["lower_bound"]), scale(attributes["upper_bound"])
    return float(np.clip(100 * (scale(value) - low) / (high - low), 0, 100))


def render_budget_table(study: Study) -> Markup:
    """Tabulate the residuals of each physical model, and the water budget of the whole record."""
    rows = {
        "Largest energy residual of a step [W m⁻²]": ("energy_residual_max", format_significant),
        "Largest water residual of a step [kg m⁻² s⁻¹]": ("water_residual_max", format_significant),
        "Precipitation [mm]": ("precipitation", format_water),
        "Water from elsewhere [mm]": ("external_water", format_water),
        "Evapotranspiration [mm]": ("evapotranspiration", format_water),
        "Runoff [mm]": ("runoff", format_water),
        "Change of storage [mm]": ("storage_change", format_water),
        "Residual [mm]": ("water_closure", format_significant),
    }
    budgets = study.budgets
    body = [[label, *(write(budgets[model][key]) for model in budgets)] for label, (key, write) in rows.items()]
    return table("Budgets of the whole record", ["", *(model_swatch(study, model) for model in budgets)], body)


def format_water(value: float) -> str:
    """Format a sum of water."""
    return format_number(value, 1)
