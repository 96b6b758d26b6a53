"""The page about transfer: each section where there is something to show, in one file."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bowen.evaluation.budyko import long_term_water_balance
from bowen.evaluation.unseen_variables import add_routed_runoff, evaluate_unseen_variables
from bowen.reporting.transfer_page import MODEL_COLORS, _color_name, write_transfer

TIME = pd.date_range("2000-01-01", periods=800)
WAVE = np.sin(np.arange(800) / 58.0)


def days(factor):
    values = {
        "runoff": 2e-5 * (1.5 + WAVE) * factor,
        "drainage": 2e-5 * (1.5 + WAVE) * factor,
        "precipitation": np.full(800, 4e-5),
        "evapotranspiration": np.full(800, 2e-5),
        "snow_water": 50.0 * np.maximum(WAVE, 0.0),
        "air_temperature": np.full(800, 285.0),
        "air_pressure": np.full(800, 1e5),
        "net_radiation": 80.0 + 50.0 * WAVE,
        "ground_heat": WAVE,
    }
    return add_routed_runoff(xr.Dataset({name: ("time", array) for name, array in values.items()}, {"time": TIME}))


@pytest.fixture(scope="module")
def made_transfer():
    place = {"latitude": 45.0, "longitude": -70.0}
    observed = {name: days(1.0)[["runoff"]].assign_attrs(place, site=name) for name in ("A", "B", "C")}
    simulated = {model: {site: days(factor) for site in observed} for model, factor in (("LaD", 0.8), ("hybrid", 1.1))}
    numbers = pd.concat(
        evaluate_unseen_variables(each[site], observed[site], model=model)
        for model, each in simulated.items()
        for site in observed
    )
    balances = [
        {"model": model, "site": site} | long_term_water_balance(each[site], each[site], observed[site])
        for model, each in simulated.items()
        for site in observed
    ]
    return numbers, pd.DataFrame(balances), observed, simulated


def medians_of(numbers):
    wide = numbers.pivot_table("value", ["variable", "metric"], "model", "median", sort=False)
    return wide[["LaD", "hybrid"]].assign(places=3.0)


def test_the_page_has_all_there_is_to_show(made_transfer, tmp_path):
    numbers, balances, observed, simulated = made_transfer
    page = write_transfer(
        tmp_path / "page.html", numbers, medians_of(numbers), balances, observed, simulated
    ).read_text()
    for name in ("numbers", "streamflow", "snow", "balance"):
        assert f'<section id="{name}"' in page
    kge = numbers.query("metric == 'kge' and variable == 'runoff' and model == 'hybrid'")["value"].iloc[0]
    assert f"as simulated: {kge:.2f}" in page and "which has the median KGE of hybrid" in page
    assert "3 of 3" in page and 'src="http' not in page


def test_a_model_with_a_quick_way_of_its_own_is_not_routed(made_transfer, tmp_path):
    numbers, balances, observed, simulated = made_transfer
    own = {site: each.drop_vars("runoff_routed") for site, each in simulated["hybrid"].items()}
    kept = numbers[(numbers["model"] == "LaD") | (numbers["variable"] != "runoff_routed")]
    both = {"LaD": simulated["LaD"], "hybrid": own}
    page = write_transfer(tmp_path / "page.html", kept, medians_of(kept), balances, observed, both).read_text()
    assert page.count("as simulated: ") == 2 and page.count("half through a fast reservoir: ") == 1


def test_a_section_with_nothing_to_show_is_left_out(made_transfer, tmp_path):
    numbers, _, observed, simulated = made_transfer
    heat = numbers.assign(variable="ground_heat")
    short = {
        model: {site: each.isel(time=slice(0, 60)) for site, each in of.items()} for model, of in simulated.items()
    }
    page = write_transfer(tmp_path / "page.html", heat, medians_of(heat), pd.DataFrame(), observed, short).read_text()
    assert '<section id="numbers"' in page and page.count("<section") == 1


def test_months_without_observations_are_left_blank(made_transfer, tmp_path):
    numbers, balances, observed, simulated = made_transfer
    short = {
        model: {site: each.isel(time=slice(0, 60)) for site, each in of.items()} for model, of in simulated.items()
    }
    page = write_transfer(tmp_path / "page.html", numbers, medians_of(numbers), balances, observed, short).read_text()
    assert '<section id="streamflow"' in page and '<section id="snow"' not in page


def warm(mean):
    """Layers at 1 cm and 9 cm that are a kelvin above and below a year's wave."""
    wave = mean + 10.0 * WAVE
    layers = xr.DataArray(np.stack([wave + 1.0, wave - 1.0], 1), dims=("time", "layer"))
    return days(1.0).assign(soil_temperature=layers).assign_coords(layer_depth=("layer", [0.01, 0.09]))


def test_soils_are_shown_where_they_were_measured(made_transfer, tmp_path):
    """By the month, at the depth of the observations, and without a bias in percent of kelvin."""
    place = {"latitude": 45.0, "longitude": -70.0}
    seen = xr.DataArray(283.0 + 10.0 * WAVE, {"time": TIME})
    given = {"A": seen.assign_attrs(depth=0.05), "B": seen, "C": seen * np.nan, "D": None}
    observed = {
        site: days(1.0)[["runoff"]]
        .assign({} if soil is None else {"soil_temperature": soil})
        .assign_attrs(place, site=site)
        for site, soil in given.items()
    }
    simulated = {model: dict.fromkeys(observed, warm(285.0)) for model in ("LaD", "hybrid")}
    simulated["LSTM"] = dict.fromkeys(observed, days(1.0))
    numbers = evaluate_unseen_variables(simulated["hybrid"]["A"], observed["A"], model="hybrid")
    assert numbers.query("variable == 'soil_temperature' and metric == 'bias'")["value"].item() == pytest.approx(2.0)
    numbers = pd.concat([numbers, numbers.assign(model="LaD")])
    page = write_transfer(
        tmp_path / "page.html", numbers, medians_of(numbers), made_transfer[1], observed, simulated
    ).read_text()
    assert '<section id="soil"' in page and "A, 5 cm" in page and "B, 5 cm" in page and "C, 5 cm" not in page
    assert "Soil temperature: NSE" in page and "Soil temperature: Bias" not in page


def test_a_dozen_models_have_room(made_transfer, tmp_path):
    """Eleven runs side by side left no panel a width, which matplotlib warns of."""
    numbers, balances, observed, simulated = made_transfer
    names = [f"hybrid (runs/site/site-{fold}/hybrid/0)" for fold in "ABCDEFGHIJK"]
    hybrid = numbers[(numbers["model"] == "hybrid") & (numbers["variable"] != "runoff_routed")]
    many = pd.concat(hybrid.assign(model=name) for name in names)
    runs = dict.fromkeys(names, simulated["hybrid"])
    page = write_transfer(tmp_path / "page.html", many, medians_of(numbers), balances, observed, runs).read_text()
    assert page.count("as simulated: ") == len(names)


@pytest.mark.parametrize("name", ["hybrid", "hybrid (runs/a)", "hybrid, mean of 4"])
def test_models_of_a_kind_have_one_color(name):
    assert _color_name(name) == MODEL_COLORS["hybrid"]
