"""Many records in one batch: the same days as one by one, whatever their lengths, and nothing but days."""

import dataclasses
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bowen.config.schema import Config, DataConfig, ModelConfig, TrainingConfig
from bowen.data import cut_to_whole_days
from bowen.data.features import Scaler
from bowen.errors import DataError, ModelError
from bowen.evaluation.scores import as_tower_reports, audit_budgets
from bowen.experiments import batch_simulation
from bowen.experiments.batch_simulation import largest_residual, simulate_days
from bowen.experiments.build import build_model
from bowen.experiments.run import Run, as_site, simulate_run
from bowen.experiments.twin_experiment import make_weather
from bowen.models.base import reset_root_zone
from bowen.training.arrays import to_dataset
from bowen.training.site_data import land_parameters

YEAR = 6  # d, in the place of 365
MODEL = ModelConfig(
    hidden_size=2,
    substeps=1,
    newton_iterations=3,
    dynamic=("minimum_stomatal_resistance", "closure_partitioning"),
    static=("root_zone_capacity", "closure_fraction"),
    precision="float64",
)


def hourly(days, seed, **site):
    record = make_weather(days, seed).isel(time=slice(0, None, 2)).assign_attrs(timestep_s=3600, **site)
    record["latent_heat"] = record["sensible_heat"] = 0.2 * record.shortwave_down
    return record.assign({f"{name}_qc": ("time", np.zeros(record.sizes["time"], np.int8)) for name in record})


@pytest.fixture(scope="module")
def records():
    """Two records longer than the year of spin-up, one of them colder, and a short one that begins at noon."""
    long, shorter = hourly(16, 0, site="XX-One"), hourly(14, 1, site="XX-Two", igbp="GRA", canopy_height=1.0)
    shorter["air_temperature"] = shorter.air_temperature - 20.0
    return [long, hourly(4, 2, site="XX-Six").isel(time=slice(12, None)), shorter]


@pytest.fixture(autouse=True)
def short_year(monkeypatch):
    monkeypatch.setattr(batch_simulation, "YEAR_DAYS", YEAR)


def run_of(kind, record):
    model = MODEL.model_copy(update={"kind": kind, **({"dynamic": ()} if kind == "process" else {})})
    config = Config(data=DataConfig(met=Path("none.nc")), model=model, training=TrainingConfig(spin_up_years=2))
    scaler = Scaler.fit([(record, np.full(record.sizes["time"], True))], ["longwave_down"])
    trained = build_model(config, scaler, land_parameters(config, record.attrs))
    if kind != "process":
        head = jnp.linspace(-2.0, 2.0, trained.head.weight.size).reshape(trained.head.weight.shape)
        trained = eqx.tree_at(lambda m: m.head.weight, trained, head)
    if kind == "hybrid":
        trained = eqx.tree_at(lambda m: m.offsets["closure_fraction"], trained, jnp.asarray(-1.0))
    return Run(config, scaler, trained)


def alone(run, record):
    """One record by itself, step by step, its water new after spin-up."""
    tower = as_site(run, record)
    model, inputs = run.model.for_site(tower.parameters), tower.arrays.inputs
    advance = eqx.filter_jit(lambda carry, now: model.step(carry, *now, inputs.dt))
    series = [jax.tree.map(lambda x, k=k: x[k], (inputs.forcing, inputs.features)) for k in range(record.sizes["time"])]
    carry, told = model.init(tower.state), []
    for now in series[: YEAR * 24] * 2:
        carry, _ = advance(carry, now)
    carry = reset_root_zone(model, carry)
    for now in series:
        carry, here = advance(carry, now)
        told.append(here)
    told = jax.tree.map(lambda *x: jnp.stack(x), *told)
    return to_dataset(model, told, record, run.title)


def test_a_short_record_is_what_it_is_to_simulate_run(records):
    run, record = run_of("process", records[0]), cut_to_whole_days(records[1])
    days, single = simulate_days(run, [record])[0], simulate_run(run, record)
    for name in ("latent_heat", "runoff"):
        np.testing.assert_allclose(days[name], single[name].values.reshape(-1, 24).mean(axis=1), rtol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hybrid", "network"])
def test_a_batch_is_what_its_records_are_one_by_one(records, kind):
    run, told = run_of(kind, records[0]), []
    together = simulate_days(run, iter(records), say=told.append)
    assert len(told) == (2 + 3) + (2 + 1), "two cycles and three pieces of a year; the short record is by itself"
    for days, record in zip(together, map(cut_to_whole_days, records), strict=True):
        single = alone(run, record)
        assert days.attrs["site"] == record.attrs["site"] and days.attrs["timestep_s"] == 86400
        np.testing.assert_array_equal(days.time.values, record.time.values[::24])
        for name in {"latent_heat", "sensible_heat", "runoff", "snow_melt", "net_radiation"} & set(single):
            means = single[name].values.reshape(-1, 24).mean(axis=1)
            np.testing.assert_allclose(days[name], means, rtol=1e-8, atol=1e-10 * np.abs(means).max(), err_msg=name)
        for name in {"snow_water", "root_zone_water", "groundwater"} & set(single):
            np.testing.assert_allclose(days[name], single[name].values[23::24], rtol=1e-8, atol=1e-9, err_msg=name)
        if kind == "hybrid":
            warmth = single.soil_temperature.values.reshape(-1, 24, 5).mean(axis=1)
            np.testing.assert_allclose(days.soil_temperature, warmth, rtol=1e-10)
            share = single.sensible_heat_observed / single.sensible_heat
            assert share.std() > 1e-3, "the share changes from hour to hour"
            for name in ("latent_heat", "sensible_heat"):
                seen = as_tower_reports(single, name).reshape(-1, 24).mean(axis=1)
                np.testing.assert_allclose(as_tower_reports(days, name), seen, rtol=1e-8, atol=1e-8, err_msg=name)
        np.testing.assert_allclose(days.precipitation, record.precipitation.values.reshape(-1, 24).mean(axis=1))
    if kind == "hybrid":
        assert float(together[2].snow_water.max()) > 5.0, "it snows in the colder one"


def test_the_budgets_of_days_close(records):
    days = simulate_days(run_of("process", records[0]), records[:1])[0]
    found = audit_budgets(days)
    assert found["energy_residual_max"] < 1e-9 and found["water_residual_max"] < 1e-12
    assert abs(found["water_closure"]) < 1e-9 * found["precipitation"]


def test_the_largest_residual_is_told_and_what_is_no_number_is_not_hidden():
    assert float(largest_residual(jnp.array([1.0, -3.0, 2.0]))) == -3.0
    assert np.isnan(float(largest_residual(jnp.array([1.0, jnp.nan, 2.0]))))


def test_what_cannot_be_run(records):
    run = run_of("process", records[0])
    with pytest.raises(DataError, match="XX-One: has no whole day"):
        simulate_days(run, [records[0].isel(time=slice(1, 20))])
    broken = eqx.tree_at(lambda m: m.offsets["root_zone_capacity"], run.model, jnp.asarray(jnp.nan))
    with pytest.raises(ModelError, match=r"XX-Six: .* gave no finite"):
        simulate_days(dataclasses.replace(run, model=broken), records[1:2])
