"""A site is recognized by its name and place: in later years, in another version of its record, and not elsewhere."""

import dataclasses
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from bowen import data
from bowen.config.schema import parse
from bowen.data.features import Scaler
from bowen.experiments.batch_simulation import simulate_days
from bowen.experiments.build import build_model
from bowen.experiments.comparison import describe_trainings
from bowen.experiments.run import (
    Run,
    as_site,
    describe_training,
    label_steps,
    prepare_record,
    simulate_run,
    site_number,
)
from bowen.experiments.run_directory import Manifest
from bowen.experiments.step_labels import label_to_train
from bowen.experiments.trained_record import TrainedRecord, is_same_site, site_distance
from bowen.experiments.twin_experiment import make_weather
from bowen.training.site_data import land_parameters

SETTINGS = {
    "data": {"met": "", "soil": "CMF"},
    "split": {"days": 2},
    "model": {
        "kind": "process",
        "static": ["root_zone_capacity", "quickflow_fraction"],
        "site_specific": ["root_zone_capacity", "quickflow_fraction"],
        "water_corrections": ["quickflow_fraction"],
        "substeps": 1,
        "newton_iterations": 3,
        "precision": "float64",
    },
    "training": {"spin_up_years": 1},
}
YEAR = np.timedelta64(365, "D")
PERIODS = {"kind": "periods", "train": ["2001-03-01", "2001-03-10"], "validation": ["2001-03-11", "2001-03-15"]}


def config(**tables):
    return parse(SETTINGS | tables, where="test")


@pytest.fixture(scope="module")
def record():
    weather = make_weather(40, 0)
    flags = {f"{name}_qc": ("time", np.zeros(weather.sizes["time"], np.int8)) for name in weather}
    return prepare_record(weather.assign(flags), config())


def trained(records, asked=None, labeling="split", corrections=False):
    """A run of two or more sites with offsets of their own, one and minus one."""
    asked = config() if asked is None else asked
    scaler = Scaler({"air_temperature": 280.0}, {"air_temperature": 10.0})
    model = build_model(asked, scaler, land_parameters(asked, records[0].attrs), len(records))
    own = jnp.asarray([[1.0, 1.0], [-1.0, -1.0], *([[0.0, 0.0]] * (len(records) - 2))])[: len(records)]
    model = eqx.tree_at(lambda m: m.regionalization.departures, model, own)
    known = tuple(TrainedRecord.of(each, corrections) for each in records)
    return Run(asked, scaler, model, Manifest(known, labeling=labeling))


def at(record, **attributes):
    return record.assign_attrs(attributes)


def later(record, years=3):
    return record.assign_coords(time=record.time + years * YEAR)


@pytest.fixture
def run(record):
    return trained([record, at(record, site="YY-Oth")])


def test_later_years_get_the_parameters_of_their_site(run, record):
    days = later(record)
    assert site_number(run, days) == 0 and int(as_site(run, days).parameters.index) == 0
    own, unseen = simulate_run(run, days), simulate_run(run, days, as_unseen=True)
    assert float(own.parameter_root_zone_capacity[0]) != float(unseen.parameter_root_zone_capacity[0])
    shared = simulate_run(run, at(days, site="ZZ-New"))
    np.testing.assert_array_equal(unseen.parameter_root_zone_capacity, shared.parameter_root_zone_capacity)
    kept = simulate_days(run, [days]), simulate_days(run, [days], as_unseen=True)
    stored = [float(each[0].root_zone_water[-1]) for each in kept]
    assert stored[0] == pytest.approx(float(own.root_zone_water[-1])) and stored[1] != pytest.approx(stored[0])
    assert [each[0].attrs["trained_here"] for each in kept] == [0, 0]
    assert simulate_days(run, [record])[0].attrs["trained_here"] == 1


def test_another_version_of_a_record_is_of_the_same_site(run, record):
    better = record.assign(air_temperature=record.air_temperature + 0.01)
    assert data.compute_fingerprint(better) != data.compute_fingerprint(record) and site_number(run, better) == 0
    assert site_number(run, at(record, longitude=record.attrs["longitude"] + 0.013)) == 0


def test_steps_keep_their_label_in_any_version_of_the_record(run, record):
    """In the hourly version, with another value, elevation, place, name, and of a file without a code."""
    labels = label_steps(run, record)
    wind = record.wind_speed.copy(deep=True)
    wind[7] += 1.0
    versions = [record.assign(wind_speed=wind)]
    versions += [at(record, **change) for change in ({"elevation": 1.0}, {"latitude": 50.1}, {"site": "FLX_XX_Twi"})]
    versions += [at(record, site="xx-twi"), at(record, site="my_tower")]
    for version in versions:
        np.testing.assert_array_equal(label_steps(run, version), labels)
        assert site_number(run, version) == 0
    hourly = at(record.isel(time=slice(None, None, 2)), timestep_s=3600)
    np.testing.assert_array_equal(label_steps(run, hourly), labels[::2])
    np.testing.assert_array_equal(label_steps(trained([hourly]), record), labels)  # the last half-hour too


def test_a_step_that_any_record_trained_on_is_a_training_step(record):
    other = at(record.isel(time=slice(2 * 48, None)), source="another version")  # its blocks begin two days later
    run = trained([record, other])
    alone = [label_steps(trained([each]), record) for each in (record, other)]
    found, each = label_steps(run, record), np.stack(alone)
    np.testing.assert_array_equal(found == "train", (each == "train").any(axis=0))
    assert (found != alone[0]).any()


def test_where_the_blocks_of_training_are_not_known_all_steps_are_of_training(record):
    """As of a run that kept the site and checksum of its record alone."""
    run = trained([record])
    only = dataclasses.replace(run.manifest.records[0], first="", last="")
    run = dataclasses.replace(run, manifest=dataclasses.replace(run.manifest, records=(only,)))
    np.testing.assert_array_equal(label_steps(run, record), label_to_train("split", run.config, record))
    assert set(label_steps(run, at(record, elevation=1.0))) == {"train"}


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (("US-Me2", 44.45), ("us-me2", 45.0), True),
        (("US-Me2", 44.45), ("US-Me6", 44.45), False),
        (("US-Me2", 44.45), ("tower", 44.455), True),
        (("US-Me2", 44.45), ("tower", 44.47), False),
        (("01013500", 47.2), ("01013501", 47.2), False),
        (("tower", float("nan")), ("tower", 44.45), False),
    ],
)
def test_the_identity_of_sites(one, other, is_same):
    sites = [{"site": name, "latitude": latitude, "longitude": 8.0} for name, latitude in (one, other)]
    assert is_same_site(*sites) == is_same


def test_where_a_model_was_trained_is_said_in_a_sentence(run, record):
    run = dataclasses.replace(run, folder=Path("run"))
    assert describe_training(run, record) == "calibrated LaD: trained at XX-Twi 2001, YY-Oth 2001."
    assert describe_training(run, name="hybrid (a)").startswith("hybrid (a): trained at XX-Twi 2001")
    assert describe_trainings({"a": run, "b": run}) == ["a, b: trained at XX-Twi 2001, YY-Oth 2001."]
    assert describe_training(run, at(record, site="ZZ-New")).endswith("ZZ-New is not among these sites.")
    assert "(--as-unseen), without the parameters learned there" in describe_training(run, record, as_unseen=True)
    many = trained([at(record, site=f"XX-{number:03}") for number in range(11)])
    assert many.manifest.places.endswith("XX-007 2001, 3 more")


@pytest.mark.parametrize("change", [{"site": "tower", "latitude": 50.1}, {"site": "XX-Twj"}])
def test_another_place_or_name_is_another_site(run, record, change):
    other = at(later(record), **change)
    assert site_number(run, other) == -1 and int(as_site(run, other).parameters.index) == -1
    labels = label_steps(run, at(record, **change))
    assert set(labels[15 * 48 :]) == {"test"} and set(labels[: 15 * 48]) == {""}


def test_the_distance_of_places():
    assert site_distance(50.0, 8.0, 50.0, 8.0) == 0.0
    assert site_distance(0.0, 179.5, 0.0, -179.5) == pytest.approx(111.19, abs=0.01)
    assert site_distance(50.305, 5.998, 52.166, 5.744) == pytest.approx(207.7, abs=0.1)


@pytest.mark.parametrize("allowed", [True, False])
def test_corrections_are_allowed_as_they_were_in_training(record, allowed):
    run = trained([record], corrections=allowed)
    assert bool(as_site(run, later(record)).parameters.has_water_correction) == allowed


def test_of_several_records_of_a_site_the_nearest_counts(record):
    run = trained([record, later(record, 5), at(record, site="YY-Oth")])
    assert [site_number(run, later(record, years)) for years in (0, 1, 4, 5, 9)] == [0, 0, 1, 1, 1]
    daily = data.add_daily_fluxes(record.assign(latent_heat=record.air_temperature), data.aggregate_to_days(record))
    both = trained([record, daily])
    assert [site_number(both, each) for each in (record, daily)] == [0, 1]


def test_a_record_known_by_its_checksum_alone_is_recognized_by_it(record):
    run = trained([record])
    known = TrainedRecord(data.compute_fingerprint(record))
    run = dataclasses.replace(run, manifest=Manifest((known,)))
    assert site_number(run, record) == 0 and site_number(run, later(record)) == -1
    np.testing.assert_array_equal(label_steps(run, record), label_to_train("split", run.config, record))
    several = dataclasses.replace(run, manifest=Manifest((known, known), labeling="unknown"))
    assert set(label_steps(several, record)) == {"train"}


@pytest.mark.parametrize("labeling", ["split", "validation_blocks"])
@pytest.mark.parametrize("split", [{"days": 3}, PERIODS])
def test_steps_have_the_labels_they_had_in_training(record, labeling, split):
    asked = config(split=split)
    run, labels = trained([record], asked, labeling), label_to_train(labeling, asked, record)
    np.testing.assert_array_equal(label_steps(run, record), labels)
    changed = record.isel(time=slice(100, 1500)).assign_attrs(source="another version")
    np.testing.assert_array_equal(label_steps(run, changed), labels[100:1500])
    longer = xr.concat([record, later(record)], "time", join="outer").assign_attrs(record.attrs)
    assert (label_steps(run, longer)[len(labels) :] == "test").all()
    np.testing.assert_array_equal(label_steps(run, longer)[: len(labels)], labels)
    earlier = xr.concat([later(record, -1), record], "time", join="outer").assign_attrs(record.attrs)
    before, during = np.split(label_steps(run, earlier), 2)
    assert set(before[: 15 * 48]) == {""} and set(before[15 * 48 :]) == {"test"}
    np.testing.assert_array_equal(during, labels)
    after = label_steps(run, later(record))
    assert set(after[: 15 * 48]) == {""} and set(after[15 * 48 :]) == {"test"}


def test_standard_periods_are_those_of_the_site(record):
    years = at(record, site="US-CMW").assign_coords(time=record.time + 11 * YEAR)
    run = trained([years], labeling="standard_periods")
    assert set(label_steps(run, years)) == {"train"}
    inside = dataclasses.replace(run.manifest.records[0], first="2012-01-01T00:00:00", last="2014-12-31T23:30:00")
    run = dataclasses.replace(run, manifest=dataclasses.replace(run.manifest, records=(inside,)))
    assert set(label_steps(run, later(years, 1))) == {"validation"} and set(label_steps(run, later(years, 2))) == {
        "test"
    }
