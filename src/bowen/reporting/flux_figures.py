"""Drawings of the turbulent fluxes: observed beside modeled, at measured steps only."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.dates import date2num
from matplotlib.figure import Figure

from bowen.data.checks.energy_closure import CALENDAR_SEASONS
from bowen.data.quality_flags import is_measured
from bowen.evaluation.scores import average_pairs
from bowen.reporting import theme
from bowen.reporting.study import Study
from bowen.reporting.wording import SEASON_NAMES, flux_name

WINDOW_DAYS = 14
LONGEST_BRIDGE = np.timedelta64(4, "D")
FEWEST_IN_A_BIN = 3
UNIT = "W m⁻²"


def window_start(study: Study) -> int:
    """Find the warm-season fortnight, beginning at midnight, with the most measured test steps."""
    length = round(WINDOW_DAYS * 86400 / study.step)
    worth = np.sum([is_measured(study.observed, target) for target in study.targets], axis=0) * (1.0 + study.held_out)
    sums = np.r_[0.0, np.cumsum(worth * np.where(study.warm_season, 1.0, 0.1))]
    midnights = np.flatnonzero(np.asarray(study.time == study.time.normalize()))
    starts = midnights[midnights + length <= len(study.time)]
    return int(starts[np.argmax(sums[starts + length] - sums[starts])]) if starts.size else 0


def fortnight(study: Study) -> Figure:
    """Draw both fluxes over two weeks, step by step."""
    first = window_start(study)
    chosen = slice(first, first + round(WINDOW_DAYS * 86400 / study.step))
    figure, panels = theme.stack(len(study.targets), 1.9)
    for panel, target in zip(panels.flat, study.targets, strict=True):
        seen = np.where(is_measured(study.observed, target), study.observed[target].values, np.nan)[chosen]
        ink = theme.color("ink")
        panel.plot(study.time[chosen], seen, color=ink, linewidth=0.7, marker="o", markersize=1.9, markeredgewidth=0)
        for model, simulation in study.simulations.items():
            panel.plot(study.time[chosen], simulation[target].values[chosen], **theme.strokes(study.colors[model]))
        theme.name_axes(panel, flux_name(target), UNIT)
        theme.zero_line(panel)
        time_axis(panel, study, chosen)
    return figure


def record(study: Study) -> Figure:
    """Draw the whole record as means over days or weeks, of the same measured steps in observations and models."""
    figure, panels = theme.stack(len(study.targets), 1.9)
    everything = np.ones(len(study.time), bool)
    for panel, target in zip(panels.flat, study.targets, strict=True):
        for model in study.simulations:
            means = average_pairs(study.compared(model, target, everything), "daily", study.step)
            if study.days > 1 and means.sizes["time"]:
                means = means.resample(time=f"{study.days}D").mean().dropna("time")
            panel.plot(means.time, means.observed, "o", color=theme.color("ink"), markersize=2.2, markeredgewidth=0)
            panel.plot(*_bridged(means.simulated, study.days * LONGEST_BRIDGE), **theme.strokes(study.colors[model]))
        theme.name_axes(panel, flux_name(target), UNIT)
        theme.zero_line(panel)
        time_axis(panel, study)
    return figure


def _bridged(series: xr.DataArray, longest: np.timedelta64) -> tuple[np.ndarray, np.ndarray]:
    """Break a line at long gaps only: one in crumbs cannot be followed."""
    gaps = np.flatnonzero(np.diff(series.time.values) > longest) + 1
    return np.insert(series.time.values, gaps, series.time.values[gaps]), np.insert(series.values, gaps, np.nan)


def time_axis(panel: Axes, study: Study, chosen: slice = slice(None)) -> None:
    """Span the time axis over the chosen steps and lay a tint behind the test blocks."""
    for start, end in study.test_spans():
        panel.axvspan(*date2num([start, end]), color=theme.color("shade"), linewidth=0, zorder=0)
    theme.date_axis(panel, study.time[chosen])


def diurnal(study: Study, target: str) -> Figure:
    """Draw the mean day of each season at measured, held-out steps."""
    keep = study.held_out & is_measured(study.observed, target)
    figure = Figure((4.7, 4.3), layout="constrained")
    panels = np.ravel(figure.subplots(2, 2, sharex=True, sharey=True))
    for panel, (season, months) in zip(panels, CALENDAR_SEASONS.items(), strict=True):
        chosen = keep & np.isin(study.time.month, months)
        theme.name_axes(panel, SEASON_NAMES[season])
        theme.zero_line(panel)
        theme.hour_axis(panel)
        hours, seen = mean_day(study.observed[target].values, study.hours, chosen, FEWEST_IN_A_BIN)
        panel.plot(hours, seen, "o", color=theme.color("ink"), markersize=2.6, markeredgewidth=0)
        for model, simulation in study.simulations.items():
            course = mean_day(simulation[target].values, study.hours, chosen, FEWEST_IN_A_BIN)
            panel.plot(*course, **theme.strokes(study.colors[model]))
        if not hours.size:
            theme.say_empty(panel)
    figure.supxlabel("Hour of the day, local standard time", fontsize=8, color=theme.color("muted"))
    return figure


def mean_day(
    values: np.ndarray, hours: np.ndarray, chosen: np.ndarray, fewest: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Average chosen steps by hour of the day; returns the hours that have enough of them, and the means."""
    present, place, counts = np.unique(hours[chosen], return_inverse=True, return_counts=True)
    enough = counts >= fewest
    return present[enough], (np.bincount(place, values[chosen], len(present)) / counts)[enough]


def density(study: Study, model: str, target: str, span: tuple[float, float]) -> Figure:
    """Draw modeled against observed steps as hexagons, the fuller the more pairs they hold."""
    sample = study.compared(model, target, study.held_out)
    name = study.colors[model]
    figure = Figure((3.15, 3.15), layout="constrained")
    panel = figure.add_subplot(aspect="equal", xlim=span, ylim=span)
    panel.grid(visible=True, axis="both")
    panel.set_title(model, color=theme.color(name))
    panel.set_xlabel(f"Observed [{UNIT}]")
    panel.set_ylabel(f"Modeled [{UNIT}]")
    panel.plot(span, span, color=theme.color("muted"), linewidth=0.8, dashes=(4, 3))
    if not sample.sizes["time"]:
        theme.say_empty(panel)
        return figure
    hexagons(panel, sample.observed.values, sample.simulated.values, span, name)
    return figure


def hexagons(panel: Axes, x: np.ndarray, y: np.ndarray, span: tuple[float, float], name: str) -> None:
    """Draw points as hexagons of the named color, the fuller the more points they hold."""
    cells = panel.hexbin(x, y, gridsize=38, extent=(*span, *span), mincnt=1, linewidths=0)
    counts = np.asarray(cells.get_array())
    opacity = 0.25 + 0.75 * np.log1p(counts) / np.log1p(counts.max(initial=1))
    cells.set_array(None)
    cells.set_facecolor([(*to_rgb(theme.color(name)), shade) for shade in opacity])


def density_span(study: Study, target: str) -> tuple[float, float]:
    """Return axis limits that hold all but one value in five hundred, the same for every model."""
    samples = [study.compared(model, target, study.held_out) for model in study.simulations]
    return span_of(np.concatenate([sample[name].values for sample in samples for name in ("observed", "simulated")]))


def span_of(values: np.ndarray) -> tuple[float, float]:
    """Return axis limits that hold all but one value in five hundred."""
    if not values.size:
        return 0.0, 1.0
    low, high = np.quantile(values, [0.001, 0.999])
    margin = 0.04 * (high - low) or 1.0
    return float(low - margin), float(high + margin)
