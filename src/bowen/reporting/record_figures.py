"""Figures of a record: origin of its values, days and hours, energy and water balance."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize, PowerNorm, to_rgb
from matplotlib.dates import date2num
from matplotlib.figure import Figure

from bowen.data.checks.energy_closure import select_energy_terms
from bowen.data.checks.stuck_sensors import list_present_variables
from bowen.data.checks.water_balance import accumulate_water_fluxes
from bowen.data.schema import QC, SCHEMA
from bowen.data.solar import compute_sunrise_and_noon
from bowen.evaluation.scores import step_seconds
from bowen.reporting import flux_figures, theme
from bowen.reporting.wording import MINUS, format_significant, to_display_unit

ORIGINS = [code for code in QC if code != QC.MISSING]
MAX_PICTURE_COLUMNS = 740  # two years of days
STRIP_ROWS, HOURS = 20, 24
COLORMAPS = {  # by variable; the others have `SIGNED_COLORMAP` or `DEFAULT_COLORMAP`
    "shortwave_down": "inferno",
    "longwave_down": "inferno",
    "air_temperature": "RdYlBu_r",
    "vapor_pressure_deficit": "YlOrBr",
    "specific_humidity": "YlGnBu",
    "relative_humidity": "YlGnBu",
    "precipitation": "Blues",
}
DEFAULT_COLORMAP, SIGNED_COLORMAP = "viridis", "RdBu_r"
WATER_COLORS = {"precipitation": "water-in", "evapotranspiration": "vapor"}
NOT_DRAWN = ("leaf_area_index",)  # has no diurnal cycle


class DayGrid:
    """Grid of the days of a record as columns of an image, several days to a column where the record is long."""

    def __init__(self, time: np.ndarray, step: float) -> None:
        first = time[0].astype("datetime64[D]")
        self.steps = round(86400 / step)
        self.before = round(float((time[0] - first) / np.timedelta64(1, "s")) / step)
        self.size = len(time)
        days = -(-(self.before + self.size) // self.steps)
        self.together = -(-days // MAX_PICTURE_COLUMNS)
        self.columns = -(-days // self.together)
        start = float(date2num(first))
        self.span = start, start + self.columns * self.together
        self.times = pd.DatetimeIndex(time)

    def fold(self, values: np.ndarray, rows: int) -> np.ndarray:
        """Fold a series into columns, rows and the steps of each cell; steps outside the record are NaN."""
        whole = np.full(self.columns * self.together * self.steps, np.nan)
        whole[self.before : self.before + self.size] = values
        cut = whole.reshape(self.columns, self.together, rows, self.steps // rows)
        return cut.swapaxes(1, 2).reshape(self.columns, rows, -1)

    def mean(self, values: np.ndarray, rows: int) -> np.ndarray:
        """Average a series over each cell; a cell without values is NaN."""
        cut = self.fold(values, rows)
        known = np.isfinite(cut)
        count = known.sum(axis=2)
        return np.where(count, np.where(known, cut, 0.0).sum(axis=2) / np.maximum(count, 1), np.nan)

    def show(self, panel: Axes, picture: np.ndarray, height: float, **scale: Any) -> None:
        """Draw an image of rows by columns over the time axis."""
        panel.axvspan(*date2num(self.times[[0, -1]].to_numpy()), color=theme.color("rule"), linewidth=0, zorder=0)
        panel.imshow(
            picture,
            extent=(*self.span, 0.0, height),
            aspect="auto",
            origin="lower",
            interpolation="none",
            **scale,
        )
        panel.grid(visible=False)
        theme.format_date_axis(panel, self.times)


def draw_origins(dataset: xr.Dataset, stuck: list[dict]) -> Figure:
    """Draw the shares of the origins of values on each day for each variable, blank where values are missing."""
    names = list_present_variables(dataset)
    days = DayGrid(dataset.time.values, step_seconds(dataset))
    width, strip, top, bottom, left = 9.6, 0.4, 0.06, 0.3, 1.95
    total = top + strip * len(names) + bottom
    figure = Figure((width, total))
    place = {"left": left / width, "right": 0.93, "top": 1 - top / total, "bottom": bottom / total, "hspace": 0.35}
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False, gridspec_kw=place)[:, 0]
    for panel, name in zip(panels, names, strict=True):
        values, codes = dataset[name].values, dataset[f"{name}_qc"].values
        codes = np.where(np.isfinite(values), codes, QC.MISSING)
        days.show(panel, _strip(days, codes), 1.0)
        panel.set_yticks([])
        panel.tick_params(axis="x", length=3.0 if panel is panels[-1] else 0.0)
        spoken = name.replace("_", " ").capitalize()
        panel.set_ylabel(spoken, rotation=0, ha="right", va="center", color=theme.color("ink"))
        panel.annotate(
            f"{(codes == QC.MEASURED).mean():.0%}",
            (1.065, 0.5), xycoords="axes fraction", ha="right", va="center", color=theme.color("muted"),
        )  # fmt: skip
        for stretch in stuck:
            if stretch["name"] == name:
                start = pd.Timestamp(stretch["start"])
                end = start + pd.Timedelta(hours=stretch["hours"])
                panel.plot([start, end], [-0.12, -0.12], color=theme.color("heat"), linewidth=2.4, clip_on=False)
        panel.set_ylim(0.0, 1.0)
    return figure


def _strip(days: DayGrid, codes: np.ndarray) -> np.ndarray:
    """Stack the origins of each day, measured at the bottom, as colors of an image."""
    cut = days.fold(codes, 1)[:, 0]
    inside = np.maximum(np.isfinite(cut).sum(axis=1), 1)
    tops = np.cumsum([(cut == code).sum(axis=1) / inside for code in ORIGINS], axis=0)
    middle = (np.arange(STRIP_ROWS) + 0.5) / STRIP_ROWS
    place = (middle[:, None, None] > tops.T[None]).sum(axis=2)
    palette = np.array([*((*to_rgb(theme.color(code.name.lower())), 1.0) for code in ORIGINS), (0.0, 0.0, 0.0, 0.0)])
    return palette[place]


def draw_fingerprints(dataset: xr.Dataset) -> Figure:
    """Draw each variable as an image of days by hours, with sunrise and sunset on shortwave radiation."""
    names = [name for name in list_present_variables(dataset) if name not in NOT_DRAWN]
    days = DayGrid(dataset.time.values, step_seconds(dataset))
    figure, panels = theme.make_panels(len(names), 0.78)
    for panel, name in zip(panels[:, 0], names, strict=True):
        values, unit = to_display_unit(name, dataset[name].values)
        picture = days.mean(np.asarray(values), HOURS)
        norm, cmap = _scale(name, picture)
        days.show(panel, picture.T, 24.0, norm=norm, cmap=cmap)
        panel.set_yticks([0, 12, 24])
        panel.set_ylim(0.0, 24.0)
        theme.set_panel_title(panel, SCHEMA[name].long_name.split(",")[0].split(" at the ")[0], unit)
        _key(panel, norm, cmap)
        if name == "shortwave_down":
            when = np.unique(dataset.time.values.astype("datetime64[D]"))[:: days.together]
            rise, noon = compute_sunrise_and_noon(when, dataset.attrs)
            for hour in (rise, 2.0 * noon - rise):
                panel.plot(when, hour, color="#ffffff", linewidth=0.7)
    return figure


def _scale(name: str, picture: np.ndarray) -> tuple[Normalize, Colormap]:
    """Return colors from the 1st to the 99th percentile, centered at zero for fluxes of either sign."""
    known = picture[np.isfinite(picture)]
    low, high = np.quantile(known, [0.01, 0.99]) if known.size else (0.0, 1.0)
    if name == "precipitation":
        return PowerNorm(0.4, 0.0, float(known.max(initial=0.0)) or 1.0), colormaps[COLORMAPS[name]]
    if SCHEMA[name].valid_range[0] <= -400.0:  # fluxes of either sign
        reach = float(max(abs(low), abs(high))) or 1.0
        return Normalize(-reach, reach), colormaps[SIGNED_COLORMAP]
    return Normalize(float(low), float(high) if high > low else float(low) + 1.0), colormaps[
        COLORMAPS.get(name, DEFAULT_COLORMAP)
    ]


def _key(panel: Axes, norm: Normalize, cmap: Colormap) -> None:
    """Draw the color scale to the right of the title."""
    low, high = float(norm.vmin or 0.0), float(norm.vmax or 0.0)
    bar = panel.inset_axes((0.83, 1.12, 0.12, 0.11))
    bar.imshow(cmap(norm(np.linspace(low, high, 64)))[None], extent=(0, 1, 0, 1), aspect="auto", interpolation="none")
    bar.set_axis_off()
    for value, place, side in ((low, -0.06, "right"), (high, 1.06, "left")):
        bar.annotate(
            format_significant(value),
            (place, 0.5),
            xycoords="axes fraction",
            ha=side,
            va="center",
            color=theme.color("muted"),
        )


def draw_closure(dataset: xr.Dataset, whole: dict) -> Figure:
    """Draw turbulent against available energy, with the 1:1 line and the regression line."""
    turbulent, available, called = select_energy_terms(dataset) or (np.empty(0), np.empty(0), "")
    known = np.isfinite(turbulent)
    x, y = available[known], turbulent[known]
    span = flux_figures.find_limits(np.concatenate([x, y]))
    figure = Figure((4.7, 4.3), layout="constrained")
    panel = figure.add_subplot(aspect="equal", xlim=span, ylim=span)
    panel.grid(visible=True, axis="both")
    panel.plot(span, span, color=theme.color("muted"), linewidth=0.8, dashes=(4, 3))
    flux_figures.draw_hexagons(panel, x, y, span, "measured")
    if whole["slope"] is not None:
        ends = np.asarray(span)
        panel.plot(ends, whole["intercept"] + whole["slope"] * ends, color=theme.color("heat"), linewidth=1.4)
    panel.set_xlabel(f"{called.capitalize()} [{flux_figures.UNIT}]")
    panel.set_ylabel(f"LE + H [{flux_figures.UNIT}]")
    return figure


def draw_mean_days(dataset: xr.Dataset) -> Figure:
    """Draw the mean day of the terms of the energy balance, over the steps with all terms."""
    turbulent, available, called = select_energy_terms(dataset) or (np.empty(0), np.empty(0), "")
    known = np.isfinite(turbulent)
    time = pd.DatetimeIndex(dataset.time.values)
    hours = np.asarray((time - time.normalize()) / pd.Timedelta(hours=1)) + step_seconds(dataset) / 7200
    figure = Figure((4.7, 4.3), layout="constrained")
    panel = figure.add_subplot()
    lines = {
        called.capitalize(): (available, "accent", "-"),
        "LE + H": (turbulent, "measured", "-"),
        "LE": (dataset.latent_heat.values, "vapor", "--"),
        "H": (dataset.sensible_heat.values, "heat", "--"),
    }
    for label, (values, color, dashes) in lines.items():
        course = flux_figures.average_by_hour(values, hours, known)
        panel.plot(*course, color=theme.color(color), linestyle=dashes, linewidth=1.6, label=label)
    theme.draw_zero_line(panel)
    theme.format_hour_axis(panel)
    panel.legend(frameon=False, loc="upper left", fontsize=8, labelcolor=theme.color("muted"))
    panel.margins(y=0.12)
    panel.set_ylabel(flux_figures.UNIT)
    panel.set_xlabel("Hour of the day, local standard time")
    return figure


def draw_water(dataset: xr.Dataset, allowance: float) -> Figure:
    """Draw cumulative precipitation and evapotranspiration, and their difference with the allowance for soil water."""
    sums = accumulate_water_fluxes(dataset)
    days = DayGrid(dataset.time.values, step_seconds(dataset))
    kept = np.r_[: days.size : days.steps * days.together, days.size - 1]
    when, fell, evaporated = days.times[kept], sums["precipitation"][kept], sums["evapotranspiration"][kept]
    figure, (above, below) = theme.make_panels(2, 1.9)
    above[0].plot(when, fell, color=theme.color("water-in"), linewidth=1.6)
    above[0].plot(when, evaporated, color=theme.color("vapor"), linewidth=1.6)
    above[0].set_ylim(bottom=0.0)
    theme.set_panel_title(above[0], "Cumulative since the start", "mm")
    surplus = fell - evaporated
    for color, part in (("water-in", np.maximum(surplus, 0.0)), ("heat", np.minimum(surplus, 0.0))):
        below[0].fill_between(when, part, color=theme.color(color), alpha=0.25, linewidth=0)
    below[0].plot(when, surplus, color=theme.color("ink"), linewidth=1.2)
    below[0].axhline(-allowance, color=theme.color("heat"), linewidth=0.9, linestyle="--")
    theme.draw_zero_line(below[0])
    theme.set_panel_title(below[0], f"P {MINUS} ET", "mm")
    theme.format_date_axis(below[0], days.times)
    return figure
