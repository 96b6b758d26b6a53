"""Columns that read through their records: where they are, what each step counts, and what they refuse."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bowen.config.schema import TrainingConfig
from bowen.errors import DataError, RunError
from bowen.land.parameters import Parameters
from bowen.land.variables import initial_state
from bowen.models.base import Process
from bowen.training.arrays import SiteArrays
from bowen.training.loss import at_target_interval, predict
from bowen.training.site_data import SiteData
from bowen.training.trainer import spun_up_train_state
from bowen.training.windows import MIN_MEASURED, WindowLoader, loss_weights
from tests import helpers

DAYS = {"short": 7, "long": 24}
PER_DAY, WINDOW, COLUMNS = 48, 3, 2


def tower(name, days, *, scale=1.0, share=1.0):
    """A tower whose latent heat tells the step, so that what was cut can be recognized."""
    steps = days * PER_DAY
    targets = np.stack([np.arange(steps), scale * np.sin(np.arange(steps))], axis=-1)
    measured = np.random.default_rng(0).random((steps, 2)) < share
    series = SiteArrays(helpers.weather(days), jnp.asarray(targets), jnp.asarray(measured), jnp.ones((steps, 2)))
    labels = np.where(np.arange(steps) // PER_DAY % 3 == 0, "validation", "train")
    return SiteData.from_parts(
        name, series, helpers.site(Parameters()), initial_state(Parameters(), jnp.asarray(280.0)), labels
    )


@pytest.fixture
def streams():
    return WindowLoader([tower(*item) for item in DAYS.items()], windows_per_site=COLUMNS, window=WINDOW, seed=0)


def steps_of(streams, number):
    return np.asarray(streams.batch(number).targets[..., 0])


def test_a_window_goes_on_where_the_one_before_ended_and_around_the_end(streams):
    days = np.repeat(list(DAYS.values()), COLUMNS)
    for number in range(12):
        now, after = steps_of(streams, number), steps_of(streams, number + 1)
        assert now.shape == (WINDOW * PER_DAY, len(days))
        assert ((np.diff(now, axis=0) % (days * PER_DAY)) == 1).all()
        assert ((now[-1] + 1) % (days * PER_DAY) == after[0]).all()


def test_water_begins_anew_with_a_record_that_is_shorter_than_a_year(streams):
    for number in range(9):
        first = steps_of(streams, number)[::PER_DAY] == 0
        np.testing.assert_array_equal(streams.batch(number).begins_anew, first)
    spinning_up = np.stack([streams.begins_anew(day, 1)[0] for day in range(-24, 0)])
    assert set(spinning_up.sum(axis=0)[:2]) <= {3, 4} and (spinning_up.sum(axis=0)[2:] == 1).all()
    assert not WindowLoader([tower("year", 350)], windows_per_site=2, window=3, seed=0).begins_anew(-400, 800).any()


def test_columns_spin_up_over_every_day_before_their_first(streams):
    model = Process(Parameters(), ("minimum_stomatal_resistance",))
    carry = jax.vmap(model.init)(streams.states)
    day = jax.jit(lambda carry, inputs, renewals: predict(model, carry, inputs, renewals, streams.sites)[0])
    for number in range(-2 * DAYS["long"], 0):
        carry = day(carry, streams.inputs(number, 1), streams.begins_anew(number, 1))
    spun = spun_up_train_state(model, streams, TrainingConfig(spin_up_years=2)).carry
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12), spun, carry)
    assert streams.year == DAYS["long"] and jax.tree.leaves(spun)[0].shape[0] == len(DAYS) * COLUMNS


def test_every_step_of_every_record_has_its_turn(streams):
    seen = np.concatenate([steps_of(streams, number) for number in range(DAYS["long"] // WINDOW)])
    for number, days in enumerate(DAYS.values()):
        assert set(seen[:, number * COLUMNS :][:, :COLUMNS].ravel()) == set(range(days * PER_DAY))


def test_every_other_column_is_at_a_site_where_nothing_is_its_own():
    own, unseen_site = (
        helpers.site(Parameters(), [0.5], 1),
        helpers.site(Parameters(), [0.5], has_water_correction=True),
    )
    known = tower("known", 24).replace(parameters=own)
    streams = WindowLoader([known, known.replace(as_unseen=unseen_site)], windows_per_site=3, window=3, seed=0)
    assert np.asarray(streams.sites.index).tolist() == [1, 1, 1, 1, -1, 1]
    assert np.asarray(streams.sites.has_water_correction).tolist() == [True] * 6


def test_what_drives_a_column_is_of_the_same_steps(streams):
    towers = [tower(*item) for item in DAYS.items()]
    batch = streams.batch(5)
    steps = np.asarray(batch.targets[..., 0]).astype(int)
    for column, owner in enumerate(streams.owner):
        expected = towers[owner].arrays.inputs
        np.testing.assert_array_equal(
            batch.inputs.forcing.air_temperature[:, column], expected.forcing.air_temperature[steps[:, column]]
        )
        np.testing.assert_array_equal(batch.inputs.features[:, column], expected.features[steps[:, column]])


@pytest.mark.parametrize("label", ["train", "validation"])
@pytest.mark.parametrize("share", [1.0, 0.3])
def test_weights_make_a_mean_of_all_steps_an_error_over_the_variance(label, share):
    here = tower("x", 24, scale=7.0, share=share)
    counts = np.asarray(here.arrays.measured) & (here.labels == label)[:, None]
    weight = loss_weights(here, label)
    error = np.random.default_rng(1).normal(size=weight.shape)
    for target in range(2):
        of = counts[:, target]
        variance = np.asarray(here.arrays.targets)[of, target].var()
        expected = (error[of, target] ** 2).mean() / variance
        assert (weight[:, target] * error[:, target] ** 2).mean() == pytest.approx(expected)
        assert not weight[~of, target].any()


def test_a_tower_where_next_to_nothing_was_measured_counts_less():
    here = tower("x", 24, share=0.02)
    weight = loss_weights(here, "train")
    variance = [np.asarray(here.arrays.targets)[weight[:, k] > 0, k].var() for k in range(2)]
    assert (weight.mean(axis=0) * variance < 0.5).all()
    assert (weight.max(axis=0) * variance <= 1.0 / (MIN_MEASURED * 2 / 3) + 1e-9).all()


def test_a_target_that_was_never_measured_counts_nothing():
    here = tower("x", 24)
    half = dataclasses.replace(here.arrays, measured=here.arrays.measured.at[:, 1].set(False))
    weight = loss_weights(here.replace(arrays=half), "train")
    np.testing.assert_array_equal(weight[:, 0], loss_weights(here, "train")[:, 0])
    assert not weight[:, 1].any()
    none = dataclasses.replace(here.arrays, measured=jnp.zeros_like(here.arrays.measured))
    with pytest.raises(DataError, match="x: no measured latent_heat in the train part"):
        loss_weights(here.replace(arrays=none), "train")


def test_a_batch_tells_which_targets_are_means_over_days(streams):
    assert not streams.batch(0).is_daily.any()
    towers = [tower(*item).replace(has_daily_fluxes=item[0] == "long") for item in DAYS.items()]
    batch = WindowLoader(towers, windows_per_site=COLUMNS, window=WINDOW, seed=0).batch(0)
    assert np.asarray(batch.is_daily).tolist() == [[False] * COLUMNS + [True] * COLUMNS] * WINDOW
    predicted = np.random.default_rng(0).normal(size=batch.targets.shape)
    given = np.asarray(at_target_interval(jnp.asarray(predicted), batch.is_daily))
    np.testing.assert_array_equal(given[:, :COLUMNS], predicted[:, :COLUMNS])
    means = predicted[:, COLUMNS:].reshape(WINDOW, PER_DAY, COLUMNS, 2).mean(axis=1)
    np.testing.assert_allclose(given[:, COLUMNS:], np.repeat(means, PER_DAY, axis=0))
    with_runoff = np.asarray(at_target_interval(jnp.asarray(predicted), batch.is_daily, ("latent_heat", "runoff")))
    np.testing.assert_array_equal(with_runoff[..., 0], given[..., 0])
    of_days = predicted[..., 1].reshape(WINDOW, PER_DAY, -1).mean(axis=1)
    np.testing.assert_allclose(with_runoff[..., 1], np.repeat(of_days, PER_DAY, axis=0))


def test_a_target_may_be_worth_more_in_the_loss_but_not_in_validation(streams):
    towers = [tower(*item) for item in DAYS.items()]
    twice = WindowLoader(towers, windows_per_site=COLUMNS, window=WINDOW, seed=0, target_weights=(1.0, 2.0)).batch(0)
    np.testing.assert_array_equal(twice.train, np.asarray(streams.batch(0).train) * [1.0, 2.0])
    np.testing.assert_array_equal(twice.validation, streams.batch(0).validation)


def test_as_many_columns_as_cover_the_longest_record():
    streams = WindowLoader([tower(*item) for item in DAYS.items()], windows_per_site=0, window=5, seed=0)
    assert len(streams.owner) == 2 * 5
    assert set(steps_of(streams, 0)[:, 5:].ravel()) == set(range(DAYS["long"] * PER_DAY))


def test_what_is_refused():
    here = tower("XX-Syn", 7)
    with pytest.raises(DataError, match="XX-Syn: the record has 7 whole days, less than a window of 9"):
        WindowLoader([here], windows_per_site=1, window=9, seed=0)
    hourly = dataclasses.replace(here.arrays.inputs, dt=jnp.asarray(3600.0))
    series = dataclasses.replace(here.arrays, inputs=hourly)
    with pytest.raises(DataError, match="XX-Hou: has 24 steps a day where XX-Syn has 48"):
        WindowLoader([here, here.replace(name="XX-Hou", arrays=series)], windows_per_site=1, window=3, seed=0)
    with pytest.raises(DataError, match="XX-Syn: no measured latent_heat in the validation part"):
        WindowLoader([here.replace(labels=np.full(here.labels.shape, "train"))], windows_per_site=1, window=3, seed=0)


def test_series_on_disk_are_those_in_memory_and_leave_no_file(tmp_path):
    towers = [tower(*item, share=0.5) for item in DAYS.items()]
    one_at_a_time = iter(towers)
    there = WindowLoader(
        one_at_a_time, windows_per_site=COLUMNS, window=WINDOW, seed=0, folder=tmp_path / "not-yet" / "made"
    )
    here = WindowLoader(towers, windows_per_site=COLUMNS, window=WINDOW, seed=0)
    held = jax.tree.leaves(there._series)
    assert held and all(isinstance(x, np.memmap) for x in held) and not list(tmp_path.iterdir())
    assert len({id(x._mmap) for x in held}) == 1  # each would keep a file open, of which a process has few
    for number in range(9):
        jax.tree.map(np.testing.assert_array_equal, there.batch(number), here.batch(number))


def test_a_full_disk_is_told_with_what_to_do(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "memmap", full)
    with pytest.raises(RunError, match=f"{tmp_path}: the training data .*No space left on device.*\n.*free some space"):
        WindowLoader([tower("short", 7)], windows_per_site=COLUMNS, window=WINDOW, seed=0, folder=tmp_path)
