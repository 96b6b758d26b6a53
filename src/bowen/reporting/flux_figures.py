"""Figures of the turbulent fluxes, observed and modeled, at measured steps only."""

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
MAX_BRIDGED_GAP = np.timedelta64(4, "D")
MIN_BIN_COUNT = 3
UNIT = "W m⁻²"


def find_window_start(study: Study) -> int:
    """Find the two weeks of the warm season, from a midnight, with the most measured test steps."""
    length = round(WINDOW_DAYS * 86400 / study.step)
    worth = np.sum([is_measured(study.observed, target) for target in study.targets], axis=0) * (1.0 + study.held_out)
    sums = np.r_[0.0, np.cumsum(worth * np.where(study.warm_season, 1.0, 0.1))]
    midnights = np.flatnonzero(np.asarray(study.time == study.time.normalize()))
    starts = midnights[midnights + length <= len(study.time)]
    return int(starts[np.argmax(sums[starts + length] - sums[starts])]) if starts.size else 0


def draw_two_weeks(study: Study) -> Figure:
    """Draw both fluxes at each step of two weeks."""
    first = find_window_start(study)
    chosen = slice(first, first + round(WINDOW_DAYS * 86400 / study.step))
    figure, panels = theme.make_panels(len(study.targets), 1.9)
    for panel, target in zip(panels.flat, study.targets, strict=True):
        seen = np.where(is_measured(study.observed, target), study.observed[target].values, np.nan)[chosen]
        ink = theme.color("ink")
        panel.plot(study.time[chosen], seen, color=ink, linewidth=0.7, marker="o", markersize=1.9, markeredgewidth=0)
        for model, simulation in study.simulations.items():
            panel.plot(study.time[chosen], simulation[target].values[chosen], **theme.line_style(study.colors[model]))
        theme.set_panel_title(panel, flux_name(target), UNIT)
        theme.draw_zero_line(panel)
        format_time_axis(panel, study, chosen)
    return figure


def draw_record(study: Study) -> Figure:
    """Draw daily or weekly means of the whole record, over the same measured steps in observations and models."""
    figure, panels = theme.make_panels(len(study.targets), 1.9)
    everything = np.ones(len(study.time), bool)
    for panel, target in zip(panels.flat, study.targets, strict=True):
        for model in study.simulations:
            means = average_pairs(study.pair_steps(model, target, everything), "daily", study.step)
            if study.days > 1 and means.sizes["time"]:
                means = means.resample(time=f"{study.days}D").mean().dropna("time")
            panel.plot(means.time, means.observed, "o", color=theme.color("ink"), markersize=2.2, markeredgewidth=0)
            panel.plot(
                *_bridged(means.simulated, study.days * MAX_BRIDGED_GAP), **theme.line_style(study.colors[model])
            )
        theme.set_panel_title(panel, flux_name(target), UNIT)
        theme.draw_zero_line(panel)
        format_time_axis(panel, study)
    return figure


def _bridged(series: xr.DataArray, longest: np.timedelta64) -> tuple[np.ndarray, np.ndarray]:
    """Break a line at long gaps only, so that it stays readable."""
    gaps = np.flatnonzero(np.diff(series.time.values) > longest) + 1
    return np.insert(series.time.values, gaps, series.time.values[gaps]), np.insert(series.values, gaps, np.nan)


def format_time_axis(panel: Axes, study: Study, chosen: slice = slice(None)) -> None:
    """Format the time axis of the chosen steps and shade the test blocks."""
    for start, end in study.find_test_spans():
        panel.axvspan(*date2num([start, end]), color=theme.color("shade"), linewidth=0, zorder=0)
    theme.format_date_axis(panel, study.time[chosen])


def draw_diurnal_cycles(study: Study, target: str) -> Figure:
    """Draw the mean diurnal cycle of each season at measured, held-out steps."""
    keep = study.held_out & is_measured(study.observed, target)
    figure = Figure((4.7, 4.3), layout="constrained")
    panels = np.ravel(figure.subplots(2, 2, sharex=True, sharey=True))
    for panel, (season, months) in zip(panels, CALENDAR_SEASONS.items(), strict=True):
        chosen = keep & np.isin(study.time.month, months)
        theme.set_panel_title(panel, SEASON_NAMES[season])
        theme.draw_zero_line(panel)
        theme.format_hour_axis(panel)
        hours, seen = average_by_hour(study.observed[target].values, study.hours, chosen, MIN_BIN_COUNT)
        panel.plot(hours, seen, "o", color=theme.color("ink"), markersize=2.6, markeredgewidth=0)
        for model, simulation in study.simulations.items():
            course = average_by_hour(simulation[target].values, study.hours, chosen, MIN_BIN_COUNT)
            panel.plot(*course, **theme.line_style(study.colors[model]))
        if not hours.size:
            theme.annotate_empty(panel)
    figure.supxlabel("Hour of the day, local standard time", fontsize=8, color=theme.color("muted"))
    return figure


def average_by_hour(
    values: np.ndarray, hours: np.ndarray, chosen: np.ndarray, min_count: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Average chosen steps by hour of the day; return the hours that have enough of them, and the means."""
    present, place, counts = np.unique(hours[chosen], return_inverse=True, return_counts=True)
    enough = counts >= min_count
    return present[enough], (np.bincount(place, values[chosen], len(present)) / counts)[enough]


def draw_density(study: Study, model: str, target: str, span: tuple[float, float]) -> Figure:
    """Draw modeled against observed steps as a hexbin density."""
    sample = study.pair_steps(model, target, study.held_out)
    name = study.colors[model]
    figure = Figure((3.15, 3.15), layout="constrained")
    panel = figure.add_subplot(aspect="equal", xlim=span, ylim=span)
    panel.grid(visible=True, axis="both")
    panel.set_title(model, color=theme.color(name))
    panel.set_xlabel(f"Observed [{UNIT}]")
    panel.set_ylabel(f"Modeled [{UNIT}]")
    panel.plot(span, span, color=theme.color("muted"), linewidth=0.8, dashes=(4, 3))
    if not sample.sizes["time"]:
        theme.annotate_empty(panel)
        return figure
    draw_hexagons(panel, sample.observed.values, sample.simulated.values, span, name)
    return figure


def draw_hexagons(panel: Axes, x: np.ndarray, y: np.ndarray, span: tuple[float, float], name: str) -> None:
    """Draw the density of points as hexagons of a named color, opaque where it is high."""
    cells = panel.hexbin(x, y, gridsize=38, extent=(*span, *span), mincnt=1, linewidths=0)
    counts = np.asarray(cells.get_array())
    opacity = 0.25 + 0.75 * np.log1p(counts) / np.log1p(counts.max(initial=1))
    cells.set_array(None)
    cells.set_facecolor([(*to_rgb(theme.color(name)), shade) for shade in opacity])


def find_density_limits(study: Study, target: str) -> tuple[float, float]:
    """Return axis limits that contain 99.8 % of the values, the same for every model."""
    samples = [study.pair_steps(model, target, study.held_out) for model in study.simulations]
    return find_limits(
        np.concatenate([sample[name].values for sample in samples for name in ("observed", "simulated")])
    )


def find_limits(values: np.ndarray) -> tuple[float, float]:
    """Return axis limits that contain 99.8 % of the values."""
    if not values.size:
        return 0.0, 1.0
    low, high = np.quantile(values, [0.001, 0.999])
    margin = 0.04 * (high - low) or 1.0
    return float(low - margin), float(high + margin)
