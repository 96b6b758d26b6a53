"""Figures of parameters, states and budgets of physical models, and of training curves."""

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from bowen.data.schema import WATER_BUDGET
from bowen.evaluation.scores import variables_in_budget
from bowen.reporting import theme
from bowen.reporting.flux_figures import average_by_hour
from bowen.reporting.study import Study, water_stores
from bowen.reporting.wording import describe_variable, format_number

MEGAJOULE = 1e6
ZERO_CELSIUS = 273.15
MAX_CURVE_POINTS = 1500


def draw_parameter(study: Study, name: str) -> Figure:
    """Draw a parameter between its bounds: daily median and 5-95 % band through time, and its mean summer day."""
    figure, panels = theme.make_panels(1, 1.45, width_ratios=(3.4, 1))
    through_time, by_hour = panels.flat
    for model, simulation in study.physical.items():
        if name in simulation:
            values = simulation[name].values
            strokes = theme.line_style(study.colors[model])
            start, rows = study.fold_by_day(values)
            low, median, high = np.quantile(rows, [0.05, 0.5, 0.95], axis=1)
            through_time.fill_between(start, low, high, color=strokes["color"], alpha=0.22, linewidth=0)
            through_time.plot(start, median, **strokes)
            by_hour.plot(*average_by_hour(values, study.hours, study.warm_season), **strokes)
    theme.set_panel_title(through_time, *describe_variable(find_simulation(study, name)[name]))
    theme.set_panel_title(by_hour, "Mean summer day")
    theme.format_hour_axis(by_hour)
    theme.format_date_axis(through_time, study.time)
    for panel in (through_time, by_hour):
        _bounds(panel, find_simulation(study, name)[name].attrs)
    return figure


def find_simulation(study: Study, name: str) -> xr.Dataset:
    """Return the last physical simulation that holds a variable."""
    return [simulation for simulation in study.physical.values() if name in simulation][-1]


def _bounds(panel: Axes, attributes: dict) -> None:
    if "default" in attributes:
        panel.axhline(attributes["default"], color=theme.color("muted"), linewidth=0.9, linestyle=(0, (1, 2)))
    if "lower_bound" not in attributes or "upper_bound" not in attributes:
        return
    low, high = attributes["lower_bound"], attributes["upper_bound"]
    outer = low - 0.06 * (high - low), high + 0.06 * (high - low)
    if attributes.get("log_scale") and low > 0:
        outer = low * (low / high) ** 0.06, high * (high / low) ** 0.06
        panel.set_yscale("log")
        panel.yaxis.set_major_locator(LogLocator(subs=(1,) if high > 30 * low else (1, 2, 5)))
        panel.yaxis.set_minor_locator(NullLocator())
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panel.set_ylim(*outer)
    for start, end in ((outer[0], low), (high, outer[1])):
        panel.axhspan(start, end, color=theme.color("rule"), alpha=0.6, linewidth=0)


def draw_states(study: Study) -> Figure:
    """Draw precipitation, soil temperature by layer, and the water stores, as means over days or weeks."""
    drawings = list_state_panels(study)
    figure, panels = theme.make_panels(len(drawings), 1.15)
    for panel, ((title, unit), draw) in zip(panels.flat, drawings.items(), strict=True):
        draw(panel)
        theme.set_panel_title(panel, title, unit)
        theme.format_date_axis(panel, study.time)
    return figure


def list_state_panels(study: Study) -> dict[tuple[str, str], Callable[[Axes], None]]:
    """Return the functions that draw the panels of states, by title and unit; stores that no model uses have none."""
    found: dict[tuple[str, str], Callable[[Axes], None]] = {}
    if "precipitation" in study.observed:
        found["Precipitation", "mm d⁻¹"] = lambda panel: _precipitation(panel, study)
    if study.physical and "soil_temperature" in study.physical[study.principal]:
        found[f"Soil temperature by depth, {study.principal}", "°C"] = lambda panel: _soil(panel, study)
    for store in dict.fromkeys(store for data in study.physical.values() for store in water_stores(data)):
        if not any(data[store].values.any() for data in study.physical.values() if store in data):
            continue
        meaning, _ = describe_variable(find_simulation(study, store)[store])
        found[meaning, "mm"] = lambda panel, store=store: _store(panel, study, store)
    return found


def _precipitation(panel: Axes, study: Study) -> None:
    start, rates = study.average_by_day(study.observed["precipitation"].values * 86400)
    edges = np.append(start, start[-1:] + np.timedelta64(study.days, "D"))
    panel.stairs(rates, date2num(edges), fill=True, color=theme.color("water-in"), linewidth=0)


def _soil(panel: Axes, study: Study) -> None:
    temperature = study.physical[study.principal]["soil_temperature"]
    for layer in range(temperature.sizes["layer"]):
        celsius = study.average_by_day(temperature.isel(layer=layer).values - ZERO_CELSIUS)
        panel.plot(*celsius, color=theme.color(depth_color(layer)), linewidth=1.1)
    theme.draw_zero_line(panel)


def depth_color(layer: int) -> str:
    """Return the name of the color of a layer; layers below the fifth share its color."""
    return f"depth-{min(layer + 1, 5)}"


def _store(panel: Axes, study: Study, store: str) -> None:
    for model, simulation in study.physical.items():
        if store in simulation:
            panel.plot(*study.average_by_day(simulation[store].values), **theme.line_style(study.colors[model]))
    if store == "snow_water":  # a snowless record is a line at the bottom of the panel
        panel.set_ylim(0, max(1.0, panel.get_ylim()[1]))


def draw_water_budget(study: Study, model: str) -> Figure:
    """Draw cumulative input, output and storage change of water."""
    simulation = study.simulations[model]
    rates = {name: simulation[name].values for name in ("evapotranspiration", "runoff")}
    sources = variables_in_budget(simulation, WATER_BUDGET, "source")
    arrived = np.sum([simulation[name].values for name in sources], axis=0)
    stored = np.sum([simulation[store].values for store in water_stores(simulation)], axis=0)
    curves = {
        "Precipitation and supply": (np.cumsum(arrived) * study.step, "water-in"),
        "Evapotranspiration": (np.cumsum(rates["evapotranspiration"]) * study.step, "vapor"),
        "Runoff": (np.cumsum(rates["runoff"]) * study.step, "flow"),
        "Change of storage": (stored - stored[0], "store"),
    }
    return _cumulative(study, curves, f"Water, {model}", "mm")


def draw_energy_budget(study: Study, model: str) -> Figure:
    """Draw cumulative net radiation and the heat fluxes it supplies."""
    radiation, latent, sensible = (
        np.cumsum(study.simulations[model][name].values) * study.step / MEGAJOULE
        for name in ("net_radiation", "latent_heat", "sensible_heat")
    )
    curves = {
        "Net radiation": (radiation, "accent"),
        "Latent heat": (latent, "vapor"),
        "Sensible heat": (sensible, "heat"),
        "Into soil and snow": (radiation - latent - sensible, "store"),
    }
    return _cumulative(study, curves, f"Energy, {model}", "MJ m⁻²")


def _cumulative(study: Study, curves: dict[str, tuple[np.ndarray, str]], title: str, unit: str) -> Figure:
    figure = Figure((4.7, 3.3), layout="constrained")
    panel = figure.add_subplot()
    theme.set_panel_title(panel, title, unit)
    every = max(1, len(study.time) // MAX_CURVE_POINTS)
    for values, name in curves.values():
        panel.plot(study.time[::every], values[::every], color=theme.color(name), linewidth=1.5)
    theme.draw_zero_line(panel)
    theme.format_date_axis(panel, study.time, max_ticks=6)
    low, high = panel.get_ylim()
    heights = _apart(np.array([values[-1] for values, _ in curves.values()]), 0.115 * (high - low))
    for (label, (values, name)), height in zip(curves.items(), heights, strict=True):
        written = f"{label}\n{format_number(values[-1], 0)}"
        place = {"xy": (1.02, height), "xycoords": ("axes fraction", "data"), "va": "center", "annotation_clip": False}
        panel.annotate(written, **place, color=theme.color(name), fontsize=7.5, linespacing=1.15)
    return figure


def _apart(heights: np.ndarray, gap: float) -> np.ndarray:
    """Move labels up until neighbors are a gap apart, then all down by the mean shift."""
    order = np.argsort(heights)
    placed = heights.astype(float)
    for below, above in itertools.pairwise(order):
        placed[above] = max(placed[above], placed[below] + gap)
    return placed - np.mean(placed - heights)


def draw_training(history: pd.DataFrame, model: str, name: str) -> Figure:
    """Draw loss and validation NSE of a training, and the update whose weights were kept."""
    figure = Figure((3.15, 3.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    step, loss, validation = (history[column].to_numpy(float) for column in ("step", "loss", "validation"))
    above.plot(step, loss, color=theme.color(name))
    below.plot(step, validation, color=theme.color(name))
    above.set_title(f"{model}: loss", color=theme.color(name))
    below.set_title("Validation NSE", color=theme.color(name))
    best = np.argmax(np.nan_to_num(validation, nan=-np.inf))
    below.plot(step[best], validation[best], "o", color=theme.color("ink"), markersize=4)
    below.set_xlabel("Update")
    return figure
