"""Page about transfer: models at unseen sites and on variables not used in training."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bowen.evaluation.budyko import DAY_LENGTH, budyko_curve
from bowen.evaluation.metrics import METRICS
from bowen.evaluation.unseen_variables import DEFAULT_SOIL_DEPTH, interpolate_soil_temperature
from bowen.physics.constants import MELTING_POINT
from bowen.reporting import theme
from bowen.reporting.html import Markup, Section, element, figure, legend, prose, section, swatch, table
from bowen.reporting.page import write_page
from bowen.reporting.wording import format_number

Simulated = Mapping[str, Mapping[str, xr.Dataset]]  # by model and site
MODEL_COLORS = {
    "observed": "ink",
    "LaD": "model-4",
    "calibrated LaD": "model-1",
    "hybrid": "model-2",
    "LSTM": "model-3",
}
RUNOFF_VARIANTS = {"runoff": "as simulated", "runoff_routed": "half through a fast reservoir"}
BALANCE_TERMS = ("precipitation", "evapotranspiration", "runoff", "observed_runoff")
HYDROGRAPH_DAYS = 730  # at the end of the evaluated period
KGE_RANGE = -0.4, 0.9
MAX_PANELS_ACROSS = 4
MAP_CAPTION = (
    "KGE of daily runoff at each basin, as simulated and, where the model has no surface runoff, with half of its "
    "drainage through a reservoir of one day instead of groundwater."
)


def write_transfer(
    path: Path | str,
    numbers: pd.DataFrame,
    medians: pd.DataFrame,
    balances: pd.DataFrame,
    observed: Mapping[str, xr.Dataset],
    simulated: Simulated,
    training: Iterable[str] = (),
) -> Path:
    """Write a self-contained HTML page about a transfer atomically.

    Args:
        path: The file to write.
        numbers: Table by `bowen.evaluation.unseen_variables`.
        medians: Medians over sites, a row for each variable and metric and a column for each model.
        balances: The long-term water balance by model and site.
        observed: Days of observations by site.
        simulated: Days of simulations by model and site.
        training: Sentences on where and when the models were trained.

    Returns:
        The path written.

    Raises:
        RunError: The file cannot be written.
    """
    with matplotlib.rc_context(theme.STYLE):
        sections = [_numbers(medians), _streamflow(numbers, observed, simulated), _snow(simulated)]
        sections += [_soil(observed, simulated), _balance(balances)]
    text = prose(f"{len(observed)} sites. Models: {', '.join(simulated)}.")
    header = [element("h1", "Unseen sites and variables"), text, *(prose(sentence) for sentence in training)]
    return write_page(path, "Transfer", "bowen · transfer", header, sections)


def _color_name(model: str) -> str:
    return MODEL_COLORS.get(model.split(" (")[0].split(", mean of")[0], "model-5")


def _color(model: str) -> str:
    return theme.color(_color_name(model))


def _legend(names: Iterable[str]) -> Markup:
    return legend(swatch(_color_name(name), name) for name in names)


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
    kge = numbers.loc[
        (numbers["metric"] == "kge") & numbers["variable"].isin(list(RUNOFF_VARIANTS)) & numbers["value"].notna()
    ]
    if kge.empty:
        return None
    models = {model: simulated[model] for model in kge["model"].unique()}
    last = kge.loc[(kge["model"] == list(models)[-1]) & (kge["variable"] == "runoff")].sort_values(by="value")
    basin = str(last["site"].iloc[len(last) // 2])
    flows = {site: days.runoff for site, days in observed.items() if "runoff" in days}
    text = f"Basin {basin}, which has the median KGE of {list(models)[-1]}; the last two years evaluated."
    maps = theme.render_svg(_maps(kge, observed), "maps", "KGE of daily runoff at each basin.")
    hydrograph = theme.render_svg(_hydrograph(flows[basin], models, basin), "hydrograph", f"Runoff of basin {basin}.")
    series_by_name = {model: [sites[site].runoff for site in flows] for model, sites in models.items()}
    series_by_name["observed"] = [
        flow.reindex(time=series_by_name[list(models)[-1]][0].time) for flow in flows.values()
    ]
    mean = _mean_year(series_by_name, "Runoff, as simulated", DAY_LENGTH, "mm d⁻¹")
    year = theme.render_svg(mean, "mean-year", "Mean runoff of each month.")
    parts = [
        figure(maps, MAP_CAPTION),
        _legend(["observed", *models]),
        figure(hydrograph, text),
        figure(year, "Mean of each month over all basins and years evaluated."),
    ]
    return section("streamflow", "Streamflow", *parts)


def _maps(kge: pd.DataFrame, observed: Mapping[str, xr.Dataset]) -> Figure:
    titles = (kge["model"] + "\n" + kge["variable"].replace(RUNOFF_VARIANTS)).str.replace(" (", "\n(", regex=False)
    parts = {str(title): part for title, part in kge.groupby(titles, sort=False)}
    # Rows are as high as their panels are wide, so that there are no gaps between narrow ones.
    drawing, panels = _grid(len(parts), min(3.3, 0.8 + 12.0 / min(len(parts), MAX_PANELS_ACROSS)))
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
    """Make a grid of panels that share their axes, with rows of a height in inches."""
    across = min(count, MAX_PANELS_ACROSS)
    down = -(-count // across)
    drawing = Figure((9.6, 0.4 + height * down), layout="constrained")
    panels = drawing.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for panel in panels.flat[count:]:
        panel.set_visible(False)
    return drawing, panels


def _hydrograph(flow: xr.DataArray, models: Simulated, basin: str) -> Figure:
    drawing, panels = theme.make_panels(len(RUNOFF_VARIANTS), 1.6)
    for panel, (variable, way) in zip(panels.flat, RUNOFF_VARIANTS.items(), strict=True):
        for model, sites in models.items():
            days = sites[basin].isel(time=slice(-HYDROGRAPH_DAYS, None))
            if variable in days:
                panel.plot(days.time.values, DAY_LENGTH * days[variable].values, color=_color(model))
        seen = flow.reindex(time=days.time)
        panel.plot(seen.time.values, DAY_LENGTH * seen.values, color=theme.color("ink"), linewidth=0.9)
        panel.set_ylim(0.0, DAY_LENGTH * float(seen.quantile(0.995)))
        theme.set_panel_title(panel, f"Runoff, {way}", "mm d⁻¹")
        theme.format_date_axis(panel, pd.DatetimeIndex(days.time.values))
    return drawing


def _mean_year(series: Mapping[str, list[xr.DataArray]], title: str, factor: float, unit: str) -> Figure:
    """Draw the mean of each month over sites, for each model and the observations."""
    drawing, panels = theme.make_panels(1, 1.7)
    panel: Axes = panels.flat[0]
    _draw_year(panel, {name: [factor * days for days in sites] for name, sites in series.items()})
    panel.set_xticks(range(1, 13), [f"{day:%b}" for day in pd.date_range("2001-01-01", periods=12, freq="MS")])
    theme.set_panel_title(panel, title, unit)
    return drawing


def _draw_year(panel: Axes, series: Mapping[str, list[xr.DataArray]]) -> None:
    for name, sites in series.items():
        months = [days.groupby("time.month").mean().reindex(month=range(1, 13)).values for days in sites]
        panel.plot(range(1, 13), pd.DataFrame(months).mean(), color=_color(name))
    panel.set_xlim(1, 12)


def _soil(observed: Mapping[str, xr.Dataset], simulated: Simulated) -> Section | None:
    sites = [site for site, days in observed.items() if "soil_temperature" in days and days.soil_temperature.count()]
    models = {model: sims for model, sims in simulated.items() if any("soil_temperature" in d for d in sims.values())}
    if not (sites and models):
        return None
    drawing, panels = _grid(len(sites), 1.7)
    for panel, site in zip(panels.flat, sites, strict=False):
        seen = observed[site].soil_temperature.dropna("time")
        depth = float(seen.attrs.get("depth", DEFAULT_SOIL_DEPTH))
        models_at = {
            model: interpolate_soil_temperature(sims[site], depth) for model, sims in models.items() if site in sims
        }
        series = {name: days.reindex(time=seen.time) for name, days in {"observed": seen, **models_at}.items()}
        _draw_year(panel, {name: [days - MELTING_POINT] for name, days in series.items()})
        panel.set_title(f"{site}, {100.0 * depth:.0f} cm", fontsize=6.5)
        panel.set_xticks([1, 4, 7, 10], ["Jan", "Apr", "Jul", "Oct"])
    text = "Mean of each month, °C, on the days with measurements."
    plot = theme.render_svg(drawing, "soil", "Soil temperature of each month at each site.")
    return section("soil", "Soil temperature", _legend(["observed", *models]), figure(plot, text))


def _snow(simulated: Simulated) -> Section | None:
    snow = {
        model: [days.snow_water for days in sites.values() if "snow_water" in days and days.sizes["time"] >= 365]
        for model, sites in simulated.items()
    }
    snow = {model: sites for model, sites in snow.items() if sites}
    if not snow:
        return None
    text = "Mean of each month over all sites with a whole year."
    drawing = theme.render_svg(_mean_year(snow, "Snow water", 1.0, "mm"), "snow", "Snow of each month.")
    return section("snow", "Snow", _legend(snow), figure(drawing, text))


def _balance(balances: pd.DataFrame) -> Section | None:
    if balances.empty:
        return None
    drawing, panels = theme.make_panels(1, 3.2)
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
        means = [format_number(float(np.mean(part[name].to_numpy())), 0) for name in BALANCE_TERMS]
        rows.append([model, *means, f"{np.sum(part['within'].to_numpy())} of {len(part)}"])
    seen = balances.drop_duplicates("site").dropna(subset=["observed_runoff"])
    index = 1.0 - seen["observed_runoff"] / seen["precipitation"]
    panel.scatter(seen["aridity"], index, s=26, facecolor="none", edgecolor=theme.color("ink"))
    panel.set_xlim(0.0, widest)
    panel.set_ylim(0.0, max(1.1, 1.05 * balances["evaporative_index"].to_numpy().max()))
    theme.set_panel_title(
        panel, "Evapotranspiration over precipitation, against potential evapotranspiration over precipitation"
    )
    head = ["Mean over sites, mm per year", "Precipitation", "ET", "Runoff", "Observed runoff", "Within both limits"]
    text = (
        "Line: the curve of Budyko (1974); dashed: limits by energy and by water. Rings: precipitation minus observed "
        "streamflow. Potential: Priestley and Taylor (1972) with the net radiation of the first model."
    )
    plot = theme.render_svg(drawing, "budyko", "Evaporative index against aridity at each site.")
    parts = _legend(["observed", *models]), figure(plot, text), table("", head, rows)
    return section("balance", "Water balance", *parts)
