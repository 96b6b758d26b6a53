"""A tower that sees only part of the fluxes: the share is learned, and the budgets of the land know nothing of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from jax import numpy_dtype_promotion

from bowen.config.schema import parse
from bowen.data import compute_closure_fraction, is_latent_heat_truncated, is_measured, read
from bowen.data.checks.plausibility import find_implausible_values
from bowen.data.features import Scaler, fit_closure
from bowen.data.schema import TURBULENT as TARGETS
from bowen.evaluation.scores import as_tower_reports, score
from bowen.experiments.build import build_model, static_parameters
from bowen.experiments.comparison import uncalibrated_run
from bowen.experiments.run import Run, simulate_run, train_run
from bowen.experiments.step_labels import split_record
from bowen.experiments.twin_experiment import TWIN_SITE, TWIN_SOIL, make_weather
from bowen.land.land_classes import parameters_for
from bowen.land.parameters import Parameters
from bowen.land.tower_observation import (
    TowerParameters,
    closure_fractions,
    mean_of_truncated_reports,
    stable_share,
)
from bowen.land.variables import initial_state
from bowen.models.base import Process, SiteParameters, reset_root_zone
from bowen.models.rollout import spin_up, unroll
from bowen.training.arrays import SiteArrays, to_dataset
from bowen.training.site_data import SiteData, fit_scaler

SHARE = 0.78
SETTINGS = {
    "data": {"met": "", "soil": TWIN_SOIL},
    "split": {"kind": "blocks", "days": 5},
    "model": {
        "kind": "process",
        "dynamic": [],
        "static": ["minimum_stomatal_resistance"],
        "precision": "float64",
        "substeps": 1,
    },
    "training": {"updates": 200, "learning_rate": 0.05, "window_days": 10, "prior_weight": 0.0, "spin_up_years": 3},
}


def config(closure):
    return parse({**SETTINGS, "data": {**SETTINGS["data"], "closure": closure}}, where="test")


@pytest.fixture(scope="module")
def record():
    """What a tower reports that sees 78 % of the fluxes of a land with the parameters of its class."""
    dataset = make_weather(60, seed=3)
    base = parameters_for(
        "MF", TWIN_SOIL, reference_height=TWIN_SITE["reference_height"], canopy_height=TWIN_SITE["canopy_height"]
    )
    for name in (*dataset.data_vars, *TARGETS):
        dataset[f"{name}_qc"] = "time", np.zeros(dataset.sizes["time"], np.int8)
    for name in TARGETS:
        dataset[name] = dataset["shortwave_down"].copy()  # something to fit a scaler to
    scaler = Scaler.fit([(dataset, np.ones(dataset.sizes["time"], bool))], ["longwave_down"])
    inputs = SiteArrays.of(dataset, scaler).inputs
    model = Process(base)
    carry = reset_root_zone(
        model, spin_up(model, initial_state(base, inputs.forcing.air_temperature.mean()), inputs, 3)
    )
    _, told = unroll(model, carry, inputs)
    truth = to_dataset(model, told, dataset, "truth")
    return dataset.assign({name: SHARE * truth[name] for name in TARGETS}).assign_attrs(
        truth=float(base.minimum_stomatal_resistance)
    )


def test_who_learns_the_share():
    through = config("learned_fraction")
    assert static_parameters(through) == ("minimum_stomatal_resistance", "closure_fraction")
    assert static_parameters(config("raw")) == ("minimum_stomatal_resistance",)
    as_it_comes = through.model_copy(update={"model": through.model.model_copy(update={"static": ()})})
    assert static_parameters(as_it_comes) == ()


@pytest.mark.slow
def test_the_share_is_found_and_the_land_is_not_bent(record, tmp_path):
    with numpy_dtype_promotion("standard"):  # optax counts in integers
        found = {
            name: simulate_run(train_run(config(name), tmp_path / name, dataset=record), record)
            for name in ("raw", "learned_fraction")
        }
    seen = found["learned_fraction"]
    assert float(seen.parameter_closure_fraction[0]) == pytest.approx(SHARE, abs=0.02)
    np.testing.assert_allclose(seen.latent_heat_observed, seen.parameter_closure_fraction * seen.latent_heat)
    off = {
        name: abs(float(run.parameter_minimum_stomatal_resistance[0]) - record.attrs["truth"])
        for name, run in found.items()
    }
    assert off["raw"] > 1.5 * off["learned_fraction"]  # where the share is not learned, the land pays for it
    assert np.abs(seen.energy_residual).max() < 1e-9 and np.abs(seen.water_residual).max() < 1e-14
    labels = split_record(config("raw"), record)
    skill = {
        name: score(simulation, record, labels, model=name).query("metric == 'nse' and resolution == 'native'")
        for name, simulation in found.items()
    }
    assert skill["learned_fraction"]["value"].min() > 0.98 > skill["raw"]["value"].min()
    assert is_measured(record, "latent_heat").all()


def with_net_radiation(record, share):
    """The record with the net radiation of which its fluxes make up a share, also where half of its nights are lost."""
    net = (record.latent_heat + record.sensible_heat).values / share
    lost = np.where((record.shortwave_down.values < 10.0) & (record.time.dt.day.values % 2 == 0), 9, 0)
    return record.assign(
        net_radiation=("time", net), net_radiation_qc=0 * record.latent_heat_qc, sensible_heat_qc=("time", lost)
    )


def test_the_share_that_the_energy_balance_tells(record):
    everywhere = np.ones(record.sizes["time"], bool)
    assert compute_closure_fraction(with_net_radiation(record, 0.7), everywhere) == pytest.approx(0.7, abs=0.01)
    assert (
        compute_closure_fraction(record, everywhere) is None and compute_closure_fraction(record, ~everywhere) is None
    )
    assert compute_closure_fraction(with_net_radiation(record, 0.2), everywhere) is None


def test_what_is_missing_at_all_times_counts_less_where_there_is_more_energy(record):
    """Net radiation of 0 to 200 W m-2, of which LE + H is .7 less 20 W m-2: .50 of the year's, .57 by the line."""
    times = pd.date_range("2001-01-01", periods=365 * 24, freq="h")
    net = 100.0 - 100.0 * np.cos(2.0 * np.pi * (times.month.values - 1) / 12.0)
    columns = {"latent_heat": 0.4 * net, "sensible_heat": 0.3 * net - 20.0, "net_radiation": net}
    flags = {f"{name}_qc": np.zeros(len(net), np.int8) for name in columns}
    year = xr.Dataset({name: ("time", values) for name, values in (columns | flags).items()}, {"time": times})
    assert compute_closure_fraction(year, np.ones(len(net), bool)) == pytest.approx(0.7 - 20.0 * 100.0 / 15000.0)


def test_a_tower_that_is_trained_on_has_its_own_share_and_others_the_mean(record):
    records = [with_net_radiation(record, share) for share in (0.6, 0.9)] + [record]
    examples = [(each, np.full(each.sizes["time"], "train")) for each in records]
    tables = {**SETTINGS, "data": {**SETTINGS["data"], "closure": "measured_fraction"}}
    asked = parse({**tables, "model": {**SETTINGS["model"], "train_as_unseen": True}}, where="test")
    scaler = fit_scaler(asked, examples)
    towers = [SiteData(*each, scaler=scaler, index=number, config=asked) for number, each in enumerate(examples)]
    shares = [float(tower.parameters.tower.closure_fraction) for tower in towers]
    assert shares == pytest.approx([0.6, 0.9, 0.75], abs=0.02)
    assert {float(tower.as_unseen.tower.closure_fraction) for tower in towers} == {shares[2]}
    assert float(SiteData(records[0], scaler=scaler, config=asked).parameters.tower.closure_fraction) == shares[2]
    simulation = simulate_run(Run(asked, scaler, build_model(asked, scaler, towers[0].parameters)), record)
    np.testing.assert_allclose(simulation.latent_heat_observed, shares[2] * simulation.latent_heat)
    as_it_comes = simulate_run(uncalibrated_run(asked, scaler, record.attrs), record)
    assert "latent_heat_observed" not in as_it_comes


def test_the_closure_to_expect_of_a_site_depends_on_dry_air_and_broad_leaves(record):
    """Few towers hardly move it from their mean; many do, and never beyond the towers that are known."""
    rng = np.random.default_rng(0)
    predictors = np.stack([rng.normal(size=200), rng.choice([-1.0, 0.0, 1.0], 200)], axis=1)
    closures = 0.8 + predictors @ [0.05, -0.04]
    np.testing.assert_allclose(fit_closure([*closures, None], [*predictors, (0.0, 0.0)]), [0.8, 0.05, -0.04], atol=2e-3)
    few = fit_closure([0.7, 0.9], [(-0.1, 0.0), (0.1, 0.0)])
    np.testing.assert_allclose(few, [0.8, 0.0, 0.0], atol=0.01)
    assert fit_closure([None], [(0.0, 0.0)]) == []
    dry = record.assign(vapor_pressure_deficit=4000.0 + 0.0 * record.vapor_pressure_deficit)
    scaler = Scaler({}, {}, (), [0.7, None, 0.82], [0.8, 0.05, -0.04])
    assert scaler.closure(0, dry) == 0.7 and scaler.closure(1, dry) == scaler.closure(-1, dry) == 0.82
    assert 0.7 < scaler.closure(-1, record) < 0.82
    assert Scaler({}, {}, (), [0.7, 0.8]).closure(-1, record) == pytest.approx(0.75)  # of an earlier version
    assert Scaler({}, {}).closure(-1, record) == 1.0


def test_what_a_tower_misses_may_be_sensible_heat_more_than_latent(record):
    tower = TowerParameters(closure_fraction=0.7)
    typical = tower.typical_friction_velocity, tower.typical_friction_velocity
    np.testing.assert_array_equal(closure_fractions(tower, *typical), [tower.closure_fraction] * 2)
    np.testing.assert_allclose(
        closure_fractions(TowerParameters(closure_fraction=0.7, closure_partitioning=1.0), *typical), [1.0, 0.49]
    )
    slopes = jax.jacobian(
        lambda skew: closure_fractions(TowerParameters(closure_fraction=1.0, closure_partitioning=skew), *typical)
    )(0.5)
    np.testing.assert_array_equal(slopes, [0.0, 0.0])  # where nothing is missed there is nothing to learn
    skewed = Process(SiteParameters(Parameters(), TowerParameters(closure_fraction=0.7, closure_partitioning=0.5)))
    scaler = fit_scaler(config("raw"), [(record, np.full(record.sizes["time"], "train"))])
    inputs = SiteArrays.of(record, scaler).inputs.window(0, 48)
    _, told = unroll(skewed, initial_state(skewed.land, inputs.forcing.air_temperature.mean()), inputs)
    simulation = to_dataset(skewed, told, record.isel(time=slice(0, 48)), "skewed")
    for name, share in (("latent_heat", 0.7**0.5), ("sensible_heat", 0.7**1.5)):
        np.testing.assert_allclose(as_tower_reports(simulation, name), share * simulation[name])
    assert np.abs(simulation.energy_residual).max() < 1e-9  # the budgets of the land know nothing of it


def test_a_tower_measures_less_downward_heat_in_calm_air(record):
    calm, windy, down = jnp.asarray(0.05), jnp.asarray(0.6), jnp.asarray(-20.0)
    indifferent = TowerParameters(closure_fraction=0.8)
    tower = TowerParameters(closure_fraction=0.8, stable_half_saturation=0.5)
    np.testing.assert_allclose(closure_fractions(indifferent, calm, down), 0.8, rtol=1e-4)
    np.testing.assert_array_equal(closure_fractions(tower, calm, -down), closure_fractions(indifferent, calm, -down))
    shares = [float(closure_fractions(tower, each, down)[1]) / 0.8 for each in (calm, windy)]
    np.testing.assert_allclose(shares, [0.25, 0.8], rtol=1e-4)  # over 0.3 m s-1
    assert closure_fractions(tower, calm, down)[0] == pytest.approx(0.8)  # latent heat
    assert np.isfinite(jax.grad(lambda half: stable_share(jnp.asarray(0.0), half))(jnp.asarray(0.0)))


def test_typical_friction_velocity_is_that_of_the_wind_by_day(record):
    site = SiteData(record, np.full(record.sizes["time"], "train"), config=config("raw"))
    land, tower = site.parameters.land, site.parameters.tower
    wind = np.average(record.wind_speed, weights=record.shortwave_down)
    height, roughness = float(land.reference_height - land.displacement_height), float(land.roughness_length)
    assert float(tower.typical_friction_velocity) == pytest.approx(0.4 * wind / np.log(height / roughness), rel=1e-4)
    model = Process(SiteParameters(land, TowerParameters(stable_half_saturation=0.5)))
    _, series = unroll(model, site.state, site.arrays.inputs.window(0, 96))
    latent, sensible = series.fluxes.latent_heat, series.fluxes.sensible_heat
    share = series.fluxes.friction_velocity / (series.fluxes.friction_velocity + 0.5 * 0.3)
    seen = jnp.where(sensible < 0.0, share * sensible, sensible)
    np.testing.assert_allclose(series.observed(), jnp.stack([latent, seen]), rtol=1e-4)
    assert float((sensible < 0.0).mean()) > 0.1 and np.abs(series.fluxes.energy_residual).max() < 1e-9


def test_real_towers_measure_less_in_calm_nights(shared_data):
    """Medians over towers of LE + H over net radiation less ground heat, by thirds of the wind of their nights."""
    shares = {"night": [], "day": []}
    for met in sorted((shared_data / "towers").glob("*_Met.nc")):
        record = read(met)
        if not {"net_radiation", "ground_heat"} <= set(record):
            continue
        names = ("latent_heat", "sensible_heat", "net_radiation", "ground_heat")
        known = np.all([is_measured(record, name) for name in names[:3]] + [np.isfinite(record.ground_heat)], axis=0)
        latent, sensible, net, ground = (record[name].values for name in names)
        light, wind = record.shortwave_down.values, record.wind_speed.values
        limits = np.quantile(wind[known & (light <= 2.0)], [1 / 3, 2 / 3])
        third = np.digitize(wind, limits)
        for hours, chosen in (("night", known & (light <= 2.0)), ("day", known & (light > 20.0))):
            parts = [chosen & (third == number) for number in range(3)]
            shares[hours].append([(latent + sensible)[part].sum() / (net - ground)[part].sum() for part in parts])
    assert len(shares["night"]) >= 15
    np.testing.assert_allclose(np.median(shares["night"], axis=0), [0.27, 0.40, 0.79], atol=0.03)
    np.testing.assert_allclose(np.median(shares["day"], axis=0), [0.73, 0.77, 0.80], atol=0.03)


def test_uncertain_steps_count_less(record):
    uncertainty = np.where(np.arange(record.sizes["time"]) % 2, 10.0, 30.0)
    weighted = record.assign({f"{name}_uncertainty": ("time", uncertainty) for name in TARGETS})
    scaler = Scaler.fit([(weighted, np.ones(record.sizes["time"], bool))], ["longwave_down"])
    weight = np.asarray(SiteArrays.of(weighted, scaler, weighted=True).weight)
    np.testing.assert_allclose(weight[:2, 0], [400.0 / 1300.0, 400.0 / 500.0])  # the median is 20
    with pytest.raises(Exception, match=r"no random uncertainty of latent_heat.*\n.*weights = \"uniform\""):
        SiteArrays.of(record, scaler, weighted=True)


@pytest.mark.parametrize("flux", [-5.0, 0.0, 3.0, 30.0, 200.0])
def test_the_mean_of_what_is_reported_if_negative_values_are_left_out(flux):
    drawn = flux + np.random.default_rng(0).laplace(scale=10.0, size=1_000_000)
    flux, scale, none = map(jnp.asarray, (flux, 10.0, 0.0))
    assert float(mean_of_truncated_reports(flux, scale)) == pytest.approx(drawn[drawn > 0.0].mean(), abs=0.05)
    assert float(mean_of_truncated_reports(flux, none)) == flux
    slopes = jax.grad(mean_of_truncated_reports, (0, 1))(flux, none)
    assert [float(slope) for slope in slopes] == [1.0, 0.0]


def without_negative_values(record, scale):
    """A record whose latent heat has random errors, and what is left of it if negative values are taken out."""
    noisy = record.assign(
        latent_heat=record.latent_heat + np.random.default_rng(1).laplace(scale=scale, size=record.sizes["time"])
    )
    lost = noisy.latent_heat < 0.0
    return noisy, noisy.assign(latent_heat_qc=noisy.latent_heat_qc.where(~lost, 9).astype(np.int8))


@pytest.mark.slow
def test_errors_are_found_where_negative_values_are_left_out(record, tmp_path):
    """What is reported of nights is more than the land evaporates, and is met without bending it."""
    found, (whole, short) = {}, without_negative_values(record, 30.0)
    assert is_latent_heat_truncated(short) and not is_latent_heat_truncated(whole)
    kept = is_measured(short, "latent_heat") & (short.shortwave_down.values < 1.0)
    assert not is_latent_heat_truncated(short.assign_attrs(flux_interval_s=86400))
    for name, learned in (("silent", []), ("told", ["latent_heat_noise_scale"])):
        model = {**SETTINGS["model"], "static": ["minimum_stomatal_resistance", "closure_fraction", *learned]}
        asked = parse({**SETTINGS, "model": model}, where="test")
        with numpy_dtype_promotion("standard"):  # optax counts in integers
            found[name] = simulate_run(train_run(asked, tmp_path / name, dataset=short), short)
    assert float(found["told"].parameter_latent_heat_noise_scale[0]) == pytest.approx(30.0, abs=3.0)
    reports = {name: float(as_tower_reports(run, "latent_heat")[kept].mean()) for name, run in found.items()}
    there = float(short.latent_heat.values[kept].mean())
    assert there - reports["silent"] > 4.0 > 1.0 > abs(there - reports["told"])  # W m-2
    assert np.abs(found["told"].energy_residual).max() < 1e-9
    assert "latent_heat_noise_scale" in " ".join(find_implausible_values(short))
    assert "latent_heat_noise_scale" not in " ".join(find_implausible_values(whole))
