"""The sections of the page; one that has nothing to show is empty."""

import numpy as np
import xarray as xr

from bowen.evaluation.metrics import METRICS
from bowen.reporting import flux_figures, land_figures, tables, theme
from bowen.reporting.html import Markup, Section, caption, element, figure, grid, legend, prose, section, swatch
from bowen.reporting.study import Study, parameter_names
from bowen.reporting.wording import describe_variable, flux_name, format_number, format_significant

EMPTY = Markup("")
STEP_NAMES = {1800: "Half-hours", 3600: "Hours"}


def model_legend(study: Study, models: list[str], *, observed: bool = False) -> Markup:
    """Return the legend of the models, and of the observations if they are drawn."""
    dot = element("span", element("i", class_="dot"), "observed", class_="swatch")
    return legend([*([dot] if observed else []), *(tables.model_swatch(study, model) for model in models)])


def skill(study: Study) -> Section:
    """Scores: at a glance and in full."""
    explained = prose(
        f"{STEP_NAMES.get(round(study.step), 'Steps')} are compared where the flux was measured (quality flag 0), "
        "never where it was gap-filled; a day counts when at least half of it was measured. NSE and KGE are 1 for a "
        "perfect model and NSE is 0 for the observed mean. The best of a column is bold."
    )
    bars = [tables.glance(study), caption("Bars: NSE on the test blocks at the step of the record, from 0 to 1.")]
    tested = any(key[1] == "test" for key in study.values)
    return section("skill", "Skill on held-out data", *(bars if tested else []), explained, tables.score_tables(study))


def series(study: Study) -> Section:
    """Fluxes through time."""
    start = study.time[flux_figures.window_start(study)]
    tinted = " Test blocks are tinted." if study.test_spans() else ""
    words = "Observed and modeled latent and sensible heat flux,"
    days = f"{flux_figures.WINDOW_DAYS} days from {start.day} {start:%B %Y}"
    return section(
        "series",
        "Fluxes through time",
        model_legend(study, list(study.simulations), observed=True),
        figure(
            theme.svg(flux_figures.fortnight(study), "fortnight", f"{words} step by step over two weeks."),
            f"{days}, step by step; observations only where measured.{tinted}",
        ),
        figure(
            theme.svg(flux_figures.record(study), "record", f"{words} {study.mean_name} of the whole record."),
            f"The whole record as {study.mean_name}, observations and models over the same measured steps.{tinted}",
        ),
    )


def cycles(study: Study) -> Section:
    """Mean days by season."""
    cells = []
    for target in study.targets:
        name = flux_name(target)
        drawing = theme.svg(
            flux_figures.diurnal(study, target), f"diurnal-{target}", f"Mean day of the {name} in each season."
        )
        cells.append(element("div", element("h3", f"{name} [{flux_figures.UNIT}]"), figure(drawing, "", "half")))
    said = f"Means over the measured steps of the {study.held_out_name}, the same steps in observations and models."
    shown = model_legend(study, list(study.simulations), observed=True)
    return section("cycles", "Mean diurnal cycles", shown, grid(*cells), caption(said))


def scatter(study: Study) -> Section:
    """Modeled against observed."""
    said = (
        f"Measured steps of the {study.held_out_name}. Color deepens with the logarithm of the number of pairs; the "
        "dashed line is 1:1. One value in five hundred lies outside the axes."
    )
    rows = [
        part for target in study.targets for part in (element("h3", flux_name(target)), _scatter_row(study, target))
    ]
    return section("scatter", "Modeled against observed", *rows, caption(said))


def _scatter_row(study: Study, target: str) -> Markup:
    span = flux_figures.density_span(study, target)
    drawings = []
    for model in study.simulations:
        words = f"Density of modeled against observed {flux_name(target)}, {model}."
        drawing = theme.svg(flux_figures.density(study, model, target, span), f"density-{target}-{model}", words)
        written = [
            f"{METRICS[name].label} {format_number(study.score(model, target, name), METRICS[name].digits)}"
            for name in ("nse", "correlation", "n")
        ]
        drawings.append(figure(drawing, " · ".join(written), "third"))
    return grid(*drawings, columns=3)


def parameters(study: Study) -> Section | None:
    """What was learned of the parameters."""
    models = [model for model, simulation in study.physical.items() if parameter_names(simulation)]
    if not models:
        return None
    names = dict.fromkeys(name for model in models for name in parameter_names(study.simulations[model]))
    drawings = []
    for name in names:
        if any(_moves(study.simulations[model][name].values) for model in models if name in study.simulations[model]):
            meaning, _ = describe_variable(land_figures.simulation_of(study, name)[name])
            words = f"{meaning}: through time and over the mean summer day, between its bounds."
            drawings.append(figure(theme.svg(land_figures.parameter(study, name), name, words)))
    said = caption(
        f"Line and band: median and 5 to 95 % of each {study.period}; dotted: default; gray: outside the bounds, where "
        "learning cannot go. Right: the mean day of the three warmest months."
    )
    shown = [model_legend(study, models), *drawings, said] if drawings else []
    return section("parameters", "Learned parameters", *shown, tables.parameter_table(study))


def _moves(values: np.ndarray) -> bool:
    return bool(np.ptp(values) > 1e-6 * np.max(np.abs(values)))


def states(study: Study) -> Section | None:
    """Soil temperature, snow, root zone and groundwater."""
    if not any(title != "Precipitation" for title, _ in land_figures.state_panels(study)):
        return None
    simulation = study.physical[study.principal]
    depths = simulation["layer_depth"].values if "layer_depth" in simulation else []
    layers = [swatch(land_figures.depth_color(layer), f"{100 * depth:.3g} cm") for layer, depth in enumerate(depths)]
    drawing = theme.svg(
        land_figures.states(study), "states", "Precipitation, soil temperature, snow, root zone and groundwater."
    )
    return section(
        "states",
        "States",
        model_legend(study, list(study.physical)),
        legend(layers, "soil at") if layers else EMPTY,
        figure(drawing, f"Precipitation as in the forcing; states as {study.mean_name}."),
    )


def budgets(study: Study) -> Section | None:
    """Cumulative budgets, with their residuals printed."""
    if not study.budgets:
        return None
    model, found = list(study.budgets.items())[-1]
    water = theme.svg(
        land_figures.water_budget(study, model), "water-budget", "Cumulative precipitation, evapotranspiration, runoff."
    )
    said = f"Left over at the end: {format_significant(found['water_closure'])} mm."
    drawings = [
        figure(
            water,
            f"{said} Largest residual of a step: {format_significant(found['water_residual_max'])} kg m⁻² s⁻¹.",
            "half",
        )
    ]
    if {"net_radiation", "latent_heat"} <= set(study.simulations[model].data_vars):
        energy = theme.svg(
            land_figures.energy_budget(study, model), "energy-budget", "Cumulative net radiation and where it went."
        )
        said = f"Largest residual of a step: {format_significant(found['energy_residual_max'])} W m⁻²."
        drawings.append(figure(energy, said, "half"))
    return section("budgets", "Budgets", grid(*drawings), tables.budget_table(study))


def training(study: Study) -> Section | None:
    """Training curves."""
    drawings = []
    for model, history in study.history.items():
        if len(history):
            drawn = land_figures.training(history, model, study.colors.get(model, "ink"))
            words = f"Loss and validation skill of {model} by training step."
            drawings.append(figure(theme.svg(drawn, f"training-{model}", words), "", "third"))
    said = caption(
        "Above, loss on the training blocks; below, mean NSE on the validation blocks. The dot marks the weights kept."
    )
    return section("training", "Training", grid(*drawings, columns=3), said) if drawings else None


def notes(study: Study, remarks: list[str]) -> Section:
    """What was assumed, and whose data these are."""
    assumed = [line.strip() for line in str(study.observed.attrs.get("assumptions", "")).splitlines() if line.strip()]
    items = [element("li", line) for line in dict.fromkeys([*remarks, *assumed])]
    return section(
        "notes",
        "Notes and assumptions",
        element("ul", *items) if items else EMPTY,
        caption(attribution(study.observed)),
    )


def attribution(observed: xr.Dataset) -> str:
    """Say whose data these are: the record's own words where it has some."""
    site = observed.attrs.get("site", "this tower")
    source = observed.attrs.get("source", "a flux-tower network")
    return str(
        observed.attrs.get("attribution")
        or f"Data of {site} from {source}, shared by the people who run the tower and by their network, usually "
        "under CC-BY-4.0: cite both when you show these figures."
    )
