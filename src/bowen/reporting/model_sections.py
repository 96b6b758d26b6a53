"""Sections of the report; None where there is nothing to show."""

import numpy as np
import xarray as xr

from bowen.evaluation.metrics import METRICS
from bowen.reporting import flux_figures, land_figures, tables, theme
from bowen.reporting.html import EMPTY, Markup, Section, caption, element, figure, grid, legend, prose, section, swatch
from bowen.reporting.study import Study, parameter_names
from bowen.reporting.wording import describe_variable, flux_name, format_number, format_significant

STEP_NAMES = {1800: "Half-hours", 3600: "Hours"}


def model_legend(study: Study, models: list[str], *, observed: bool = False) -> Markup:
    """Return the legend of the models, and of the observations if they are drawn."""
    dot = element("span", element("i", class_="dot"), "observed", class_="swatch")
    return legend([*([dot] if observed else []), *(tables.model_swatch(study, model) for model in models)])


def render_skill(study: Study) -> Section:
    """Render the scores as bars and as tables."""
    steps = STEP_NAMES.get(round(study.step), "Steps")
    compared = (
        f"{steps} are compared where the flux was measured (quality flag 0), never where it was gap-filled; a day "
        "counts when at least half of it was measured."
        if study.step_kind == "measured"
        else f"{steps} are compared where the flux is unflagged (quality flag 0). A flux of this record is so at all "
        "nights, which no tower measures: gap-filled values are among those compared. A day counts when at least half "
        "of it is unflagged."
    )
    explained = prose(
        f"{compared} NSE and KGE are 1 for a perfect model and NSE is 0 for the observed mean. The best of a column is "
        "bold."
    )
    bars = [
        tables.render_score_bars(study),
        caption("Bars: NSE on the test blocks at the step of the record, from 0 to 1."),
    ]
    tested = any(key[1] == "test" for key in study.values)
    return section(
        "skill", "Skill on held-out data", *(bars if tested else []), explained, tables.render_score_tables(study)
    )


def render_series(study: Study) -> Section:
    """Render the fluxes through time."""
    start = study.time[flux_figures.find_window_start(study)]
    tinted = " Test blocks are tinted." if study.find_test_spans() else ""
    words = "Observed and modeled latent and sensible heat flux,"
    days = f"{flux_figures.WINDOW_DAYS} days from {start.day} {start:%B %Y}"
    return section(
        "series",
        "Fluxes through time",
        model_legend(study, list(study.simulations), observed=True),
        figure(
            theme.render_svg(flux_figures.draw_two_weeks(study), "fortnight", f"{words} step by step over two weeks."),
            f"{days}, step by step; observations only where {study.step_kind}.{tinted}",
        ),
        figure(
            theme.render_svg(
                flux_figures.draw_record(study), "record", f"{words} {study.mean_name} of the whole record."
            ),
            f"The whole record as {study.mean_name}, observations and models over the same {study.step_kind} steps."
            f"{tinted}",
        ),
    )


def render_cycles(study: Study) -> Section:
    """Render the mean diurnal cycles by season."""
    cells = []
    for target in study.targets:
        name = flux_name(target)
        drawing = theme.render_svg(
            flux_figures.draw_diurnal_cycles(study, target),
            f"diurnal-{target}",
            f"Mean diurnal cycle of the {name} in each season.",
        )
        cells.append(element("div", element("h3", f"{name} [{flux_figures.UNIT}]"), figure(drawing, "", "half")))
    text = (
        f"Means over the {study.step_kind} steps of the {study.held_out_name}, the same steps in observations and "
        "models."
    )
    shown = model_legend(study, list(study.simulations), observed=True)
    return section("cycles", "Mean diurnal cycles", shown, grid(*cells), caption(text))


def render_scatter(study: Study) -> Section:
    """Render modeled against observed fluxes."""
    text = (
        f"{study.step_kind.capitalize()} steps of the {study.held_out_name}. Color deepens with the logarithm of the "
        "number of pairs; the dashed line is 1:1. The axes contain 99.8 % of the values."
    )
    rows = [
        part for target in study.targets for part in (element("h3", flux_name(target)), _scatter_row(study, target))
    ]
    return section("scatter", "Modeled against observed", *rows, caption(text))


def _scatter_row(study: Study, target: str) -> Markup:
    span = flux_figures.find_density_limits(study, target)
    drawings = []
    for model in study.simulations:
        words = f"Density of modeled against observed {flux_name(target)}, {model}."
        drawing = theme.render_svg(
            flux_figures.draw_density(study, model, target, span), f"density-{target}-{model}", words
        )
        written = [
            f"{METRICS[name].label} {format_number(study.score(model, target, name), METRICS[name].digits)}"
            for name in ("nse", "correlation", "n")
        ]
        drawings.append(figure(drawing, " · ".join(written), "third"))
    return grid(*drawings, columns=3)


def render_parameters(study: Study) -> Section | None:
    """Render the learned parameters."""
    models = [model for model, simulation in study.physical.items() if parameter_names(simulation)]
    if not models:
        return None
    names = dict.fromkeys(name for model in models for name in parameter_names(study.simulations[model]))
    drawings = []
    for name in names:
        if any(_moves(study.simulations[model][name].values) for model in models if name in study.simulations[model]):
            meaning, _ = describe_variable(land_figures.find_simulation(study, name)[name])
            words = f"{meaning}: through time and over the mean summer day, within its bounds."
            drawings.append(figure(theme.render_svg(land_figures.draw_parameter(study, name), name, words)))
    text = caption(
        f"Line and band: median and 5 to 95 % of each {study.period}; dotted: default; gray: outside the bounds. "
        "Right: the mean day of the three warmest months."
    )
    shown = [model_legend(study, models), *drawings, text] if drawings else []
    return section("parameters", "Learned parameters", *shown, tables.render_parameter_table(study))


def _moves(values: np.ndarray) -> bool:
    return bool(np.ptp(values) > 1e-6 * np.max(np.abs(values)))


def render_states(study: Study) -> Section | None:
    """Render soil temperature, snow, root zone and groundwater."""
    if not any(title != "Precipitation" for title, _ in land_figures.list_state_panels(study)):
        return None
    simulation = study.physical[study.principal]
    depths = simulation["layer_depth"].values if "layer_depth" in simulation else []
    layers = [swatch(land_figures.depth_color(layer), f"{100 * depth:.3g} cm") for layer, depth in enumerate(depths)]
    drawing = theme.render_svg(
        land_figures.draw_states(study), "states", "Precipitation, soil temperature, snow, root zone and groundwater."
    )
    return section(
        "states",
        "States",
        model_legend(study, list(study.physical)),
        legend(layers, "soil at") if layers else EMPTY,
        figure(drawing, f"Precipitation of the forcing; states as {study.mean_name}."),
    )


def render_budgets(study: Study) -> Section | None:
    """Render the cumulative budgets with their residuals."""
    if not study.budgets:
        return None
    model, found = list(study.budgets.items())[-1]
    water = theme.render_svg(
        land_figures.draw_water_budget(study, model),
        "water-budget",
        "Cumulative precipitation, evapotranspiration, runoff.",
    )
    text = f"Residual at the end: {format_significant(found['water_closure'])} mm."
    drawings = [
        figure(
            water,
            f"{text} Largest residual of a step: {format_significant(found['water_residual_max'])} kg m⁻² s⁻¹.",
            "half",
        )
    ]
    if {"net_radiation", "latent_heat"} <= set(study.simulations[model].data_vars):
        energy = theme.render_svg(
            land_figures.draw_energy_budget(study, model),
            "energy-budget",
            "Cumulative net radiation and heat fluxes.",
        )
        text = f"Largest residual of a step: {format_significant(found['energy_residual_max'])} W m⁻²."
        drawings.append(figure(energy, text, "half"))
    return section("budgets", "Budgets", grid(*drawings), tables.render_budget_table(study))


def render_training(study: Study) -> Section | None:
    """Render the training curves."""
    drawings = []
    for model, history in study.history.items():
        if len(history):
            drawn = land_figures.draw_training(history, model, study.colors.get(model, "ink"))
            words = f"Loss and validation NSE of {model} by update."
            drawings.append(figure(theme.render_svg(drawn, f"training-{model}", words), "", "third"))
    text = caption(
        "Above, loss on the training blocks; below, mean NSE on the validation blocks. The dot marks the "
        "update whose weights were kept."
    )
    return section("training", "Training", grid(*drawings, columns=3), text) if drawings else None


def render_notes(study: Study, remarks: list[str]) -> Section:
    """Render the assumptions and the attribution of the data."""
    assumed = [line.strip() for line in str(study.observed.attrs.get("assumptions", "")).splitlines() if line.strip()]
    items = [element("li", line) for line in dict.fromkeys([*remarks, *assumed])]
    return section(
        "notes",
        "Notes and assumptions",
        element("ul", *items) if items else EMPTY,
        caption(attribution(study.observed)),
    )


def attribution(observed: xr.Dataset) -> str:
    """Return the attribution of the record, or a sentence where it has none."""
    site = observed.attrs.get("site", "this tower")
    source = observed.attrs.get("source", "a flux-tower network")
    return str(
        observed.attrs.get("attribution")
        or f"Data of {site} from {source}, shared by the people who run the tower and by their network, usually "
        "under CC-BY-4.0: cite both when you show these figures."
    )
