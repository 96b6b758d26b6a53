"""The page about transfer: models at places and on variables they were never shown."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bowen.evaluation.budyko import DAY, budyko_curve
from bowen.evaluation.metrics import METRICS
from bowen.evaluation.unseen_variables import DEFAULT_SOIL_DEPTH, interpolate_soil_temperature
from bowen.physics.constants import MELTING_POINT
from bowen.reporting import theme
from bowen.reporting.html import Markup, Section, element, figure, legend, prose, section, swatch, table
from bowen.reporting.page import write_page
from bowen.reporting.wording import format_number

Simulated = Mapping[str, Mapping[str, xr.Dataset]]  # by model and place
COLORS = {"observed": "ink", "LaD": "model-4", "calibrated LaD": "model-1", "hybrid": "model-2", "LSTM": "model-3"}
WAYS = {"runoff": "the model's own", "runoff_routed": "half by a quick way"}
TERMS = ("precipitation", "evapotranspiration", "runoff", "observed_runoff")
HYDROGRAPH = 730  # d at the end of what is judged
KGE_RANGE = -0.4, 0.9
ACROSS = 4
MAPPED = (
    "KGE of daily runoff at each basin, by the model's own runoff and, where it has no quick way, with half of its "
    "drainage through a reservoir of one day in the place of groundwater."
)


def write_transfer(
    path: Path | str,
    numbers: pd.DataFrame,
    medians: pd.DataFrame,
    balances: pd.DataFrame,
    observed: Mapping[str, xr.Dataset],
    simulated: Simulated,
) -> Path:
    """Write one self-contained HTML page about a transfer, whole or not at all.

    Args:
        path: Where to.
        numbers: All of them, in the columns of `bowen.evaluation.unseen_variables`.
        medians: Over places, a row for a variable and metric and a column for a model.
        balances: The long-term water balance by model and site.
        observed: By place, the days of what was observed.
        simulated: By model and place, the days that are judged.

    Returns:
        The path written.

    Raises:
        RunError: The file cannot be written.
    """
    with matplotlib.rc_context(theme.STYLE):
        sections = [_numbers(medians), _streamflow(numbers, observed, simulated), _snow(simulated)]
        sections += [_soil(observed, simulated), _balance(balances)]
    said = prose(f"{len(observed)} places. Models: {', '.join(simulated)}.")
    header = [element("h1", "What the models were never shown"), said]
    return write_page(path, "Transfer", "bowen · transfer", header, sections)


def _shade(model: str) -> str:
    return COLORS.get(model.split(" (")[0].split(", mean of")[0], "model-5")


def _color(model: str) -> str:
    return theme.color(_shade(model))


def _legend(names: Iterable[str]) -> Markup:
    return legend(swatch(_shade(name), name) for name in names)


def _numbers(medians: pd.DataFrame) -> Section:
    rows = []
    for (variable, name), values in zip(medians.index, medians.to_numpy(), strict=True):
        metric = METRICS.get(str(name))
        if metric and "transfer" in metric.tables and variable not in metric.not_for:
            cells = [format_number(value, metric.digits) for value in values[:-1]]
            title = f"{str(variable).replace('_', ' ').capitalize()}: {metric.heading()}"
            rows.append([title, *cells, format_number(values[-1], 0)])
    head = ["Median over sites", *map(str, medians.columns[:-1]), "Sites"]
    return section("numbers", "Numbers", table("", head, rows))


def _streamflow(numbers: pd.DataFrame, observed: Mapping[str, xr.Dataset], simulated: Simulated) -> Section | None:
    kge = numbers.loc[(numbers["metric"] == "kge") & numbers["variable"].isin(list(WAYS)) & numbers["value"].notna()]
    if kge.empty:
        return None
    models = {model: simulated[model] for model in kge["model"].unique()}
    last = kge.loc[(kge["model"] == list(models)[-1]) & (kge["variable"] == "runoff")].sort_values(by="value")
    basin = str(last["site"].iloc[len(last) // 2])
    flows = {place: days.runoff for place, days in observed.items() if "runoff" in days}
    said = f"Basin {basin}, which has the median KGE of {list(models)[-1]}; the last two years judged."
    maps = theme.svg(_maps(kge, observed), "maps", "KGE of daily runoff at each basin.")
    hydrograph = theme.svg(_hydrograph(flows[basin], models, basin), "hydrograph", f"Runoff of basin {basin}.")
    judged = {model: [places[place].runoff for place in flows] for model, places in models.items()}
    judged["observed"] = [flow.reindex(time=judged[list(models)[-1]][0].time) for flow in flows.values()]
    mean = _mean_year(judged, "Runoff, the model's own", DAY, "mm d⁻¹")
    year = theme.svg(mean, "mean-year", "Mean runoff of each month.")
    parts = [
        figure(maps, MAPPED),
        _legend(["observed", *models]),
        figure(hydrograph, said),
        figure(year, "Mean of each month over all basins and years judged."),
    ]
    return section("streamflow", "Streamflow", *parts)


def _maps(kge: pd.DataFrame, observed: Mapping[str, xr.Dataset]) -> Figure:
    titles = (kge["model"] + "\n" + kge["variable"].replace(WAYS)).str.replace(" (", "\n(", regex=False)
    parts = {str(title): part for title, part in kge.groupby(titles, sort=False)}
    # A row is as tall as its panels are wide, so that narrow ones do not stand apart.
    drawing, panels = _grid(len(parts), min(3.3, 0.8 + 12.0 / min(len(parts), ACROSS)))
    mean = np.deg2rad(np.mean([days.attrs["latitude"] for days in observed.values()]))
    scale = {"cmap": "viridis", "vmin": KGE_RANGE[0], "vmax": KGE_RANGE[1]}
    for panel, (title, part) in zip(panels.flat, parts.items(), strict=False):
        east, north = ([observed[site].attrs[at] for site in part["site"]] for at in ("longitude", "latitude"))
        points = panel.scatter(east, north, c=part["value"].to_numpy(), s=60, **scale)
        panel.set_title(f"{title}: {format_number(float(np.median(part['value'].to_numpy())), 2)}", fontsize=6.5)
        panel.set_aspect(1.0 / np.cos(mean))
        panel.margins(0.08)
        panel.xaxis.set_major_formatter("{x:g}°")
        panel.yaxis.set_major_formatter("{x:g}°")
    drawing.colorbar(points, ax=panels, shrink=0.6, label="KGE")
    return drawing


def _grid(count: int, height: float) -> tuple[Figure, np.ndarray]:
    """Panels in rows [in] that share their axes."""
    across = min(count, ACROSS)
    down = -(-count // across)
    drawing = Figure((9.6, 0.4 + height * down), layout="constrained")
    panels = drawing.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for panel in panels.flat[count:]:
        panel.set_visible(False)
    return drawing, panels


def _hydrograph(flow: xr.DataArray, models: Simulated, basin: str) -> Figure:
    drawing, panels = theme.stack(len(WAYS), 1.6)
    for panel, (variable, way) in zip(panels.flat, WAYS.items(), strict=True):
        for model, places in models.items():
            days = places[basin].isel(time=slice(-HYDROGRAPH, None))
            if variable in days:
                panel.plot(days.time.values, DAY * days[variable].values, color=_color(model))
        seen = flow.reindex(time=days.time)
        panel.plot(seen.time.values, DAY * seen.values, color=theme.color("ink"), linewidth=0.9)
        panel.set_ylim(0.0, DAY * float(seen.quantile(0.995)))
        theme.name_axes(panel, f"Runoff, {way}", "mm d⁻¹")
        theme.date_axis(panel, pd.DatetimeIndex(days.time.values))
    return drawing


def _mean_year(series: Mapping[str, list[xr.DataArray]], title: str, factor: float, unit: str) -> Figure:
    """Draw the mean of each month over places, by model or as observed."""
    drawing, panels = theme.stack(1, 1.7)
    panel: Axes = panels.flat[0]
    _draw_year(panel, {name: [factor * days for days in places] for name, places in series.items()})
    panel.set_xticks(range(1, 13), [f"{day:%b}" for day in pd.date_range("2001-01-01", periods=12, freq="MS")])
    theme.name_axes(panel, title, unit)
    return drawing


def _draw_year(panel: Axes, series: Mapping[str, list[xr.DataArray]]) -> None:
    for name, places in series.items():
        months = [days.groupby("time.month").mean().reindex(month=range(1, 13)).values for days in places]
        panel.plot(range(1, 13), pd.DataFrame(months).mean(), color=_color(name))
    panel.set_xlim(1, 12)


def _soil(observed: Mapping[str, xr.Dataset], simulated: Simulated) -> Section | None:
    places = [place for place, days in observed.items() if "soil_temperature" in days and days.soil_temperature.count()]
    models = {model: sims for model, sims in simulated.items() if any("soil_temperature" in d for d in sims.values())}
    if not (places and models):
        return None
    drawing, panels = _grid(len(places), 1.7)
    for panel, place in zip(panels.flat, places, strict=False):
        seen = observed[place].soil_temperature.dropna("time")
        depth = float(seen.attrs.get("depth", DEFAULT_SOIL_DEPTH))
        told = {
            model: interpolate_soil_temperature(sims[place], depth) for model, sims in models.items() if place in sims
        }
        series = {name: days.reindex(time=seen.time) for name, days in {"observed": seen, **told}.items()}
        _draw_year(panel, {name: [days - MELTING_POINT] for name, days in series.items()})
        panel.set_title(f"{place}, {100.0 * depth:.0f} cm", fontsize=6.5)
        panel.set_xticks([1, 4, 7, 10], ["Jan", "Apr", "Jul", "Oct"])
    said = "Mean of each month, °C, on the days on which it was measured."
    plot = theme.svg(drawing, "soil", "Soil temperature of each month at each place.")
    return section("soil", "Soil temperature", _legend(["observed", *models]), figure(plot, said))


def _snow(simulated: Simulated) -> Section | None:
    snow = {
        model: [days.snow_water for days in places.values() if "snow_water" in days and days.sizes["time"] >= 365]
        for model, places in simulated.items()
    }
    snow = {model: places for model, places in snow.items() if places}
    if not snow:
        return None
    said = "Mean of each month over all places with a whole year, by the models."
    drawing = theme.svg(_mean_year(snow, "Snow water", 1.0, "mm"), "snow", "Snow of each month.")
    return section("snow", "Snow", _legend(snow), figure(drawing, said))


def _balance(balances: pd.DataFrame) -> Section | None:
    if balances.empty:
        return None
    drawing, panels = theme.stack(1, 3.2)
    panel: Axes = panels.flat[0]
    widest = 1.1 * balances["aridity"].to_numpy().max()
    aridity = np.linspace(0.02, widest, 200)
    panel.plot(aridity, budyko_curve(aridity), color=theme.color("muted"))
    panel.plot(aridity, np.minimum(aridity, 1.0), color=theme.color("muted"), linestyle="--", linewidth=0.8)
    models = dict.fromkeys(map(str, balances["model"]))
    rows = []
    for model in models:
        part = balances.loc[balances["model"] == model]
        panel.scatter(part["aridity"], part["evaporative_index"], color=_color(model), s=22)
        means = [format_number(float(np.mean(part[name].to_numpy())), 0) for name in TERMS]
        rows.append([model, *means, f"{np.sum(part['within'].to_numpy())} of {len(part)}"])
    seen = balances.drop_duplicates("site").dropna(subset=["observed_runoff"])
    index = 1.0 - seen["observed_runoff"] / seen["precipitation"]
    panel.scatter(seen["aridity"], index, s=26, facecolor="none", edgecolor=theme.color("ink"))
    panel.set_xlim(0.0, widest)
    panel.set_ylim(0.0, max(1.1, 1.05 * balances["evaporative_index"].to_numpy().max()))
    theme.name_axes(panel, "Evapotranspiration over precipitation, against potential evapotranspiration over it")
    head = ["Mean over places, mm a year", "Precipitation", "ET", "Runoff", "Observed runoff", "Within both limits"]
    said = (
        "Line: the curve of Budyko (1974); dashed: no more than the sun allows, nor than falls. Rings: precipitation "
        "less observed streamflow. Potential: Priestley and Taylor (1972) with the net radiation of the first model."
    )
    plot = theme.svg(drawing, "budyko", "Evaporative index against aridity at each place.")
    parts = _legend(["observed", *models]), figure(plot, said), table("", head, rows)
    return section("balance", "Water balance", *parts)
