"""What bowen writes it reads back as it was, whatever the record, the settings or the arrays."""

import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bowen.config.schema import Config, DataConfig, ModelConfig, TrainingConfig, dumps, load
from bowen.data import QC, open_record, read, read_simulation, to_alma, write_netcdf, write_record
from bowen.errors import DataError
from bowen.evaluation.scores import SCORE_COLUMNS, read_scores, write_scores
from bowen.experiments.run_directory import load_arrays, save_arrays
from tests.data.files import SITE, fluxnet_table, write_csv

SMALL = settings(
    max_examples=8, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
ATTRIBUTES = ("site", "latitude", "longitude", "elevation", "igbp", "reference_height", "canopy_height")


@functools.cache
def whole(days, step):
    with tempfile.TemporaryDirectory() as folder:
        path = write_csv(Path(folder, "XX-Syn.csv"), fluxnet_table(days, step))
        return read(path, site=SITE)


@st.composite
def records(draw):
    """A record of some days, with gaps, flags, noise and a site of any name."""
    record = whole(draw(st.sampled_from([2, 3, 7])), draw(st.sampled_from([1800, 3600]))).copy(deep=True)
    chance = np.random.default_rng(draw(st.integers(0, 2**32)))
    for name in [name for name in record.data_vars if not str(name).endswith("_qc")]:
        values, flags = record[name].values, record[f"{name}_qc"].values
        values *= 1.0 + chance.uniform(-0.01, 0.0, values.shape)
        flags[...] = np.where(flags == QC.MEASURED, chance.integers(0, 4, flags.shape), flags)
        gone = chance.random(values.shape) < draw(st.sampled_from([0.0, 0.1, 0.5]))
        values[gone], flags[gone] = np.nan, QC.MISSING
    name = draw(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=40))
    record.attrs |= {"site": name.strip() or "x", "latitude": draw(st.floats(-80.0, 80.0))}
    return record


def same(found, record):
    assert found.time.equals(record.time)
    for name in record.data_vars:
        assert name in found, name
        np.testing.assert_allclose(found[name].values, record[name].values, rtol=1e-12, err_msg=str(name))
    assert all(found.attrs[key] == record.attrs[key] for key in ATTRIBUTES)


@SMALL
@given(records())
def test_a_record_in_an_archive(record):
    pytest.importorskip("zarr")
    with tempfile.TemporaryDirectory() as folder:
        key = write_record(Path(folder, "towers.zarr"), record)
        same(open_record(Path(folder, "towers.zarr"), key).load(), record)
        assert [path.name for path in Path(folder).iterdir()] == ["towers.zarr"]


@SMALL
@given(records())
def test_a_simulation_in_netcdf(record):
    with tempfile.TemporaryDirectory() as folder:
        same(read_simulation(write_netcdf(to_alma(record), Path(folder, "simulation.nc"))), record)


ANY_ARRAY = st.sampled_from(["f4", "i4", "u4", "b1"]).flatmap(
    lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
)


@SMALL
@given(st.dictionaries(st.text("abc_0", min_size=1, max_size=8), ANY_ARRAY, max_size=5))
def test_arrays_of_a_model(tree):
    with tempfile.TemporaryDirectory() as folder:
        save_arrays(Path(folder, "weights.npz"), tree, [(1.0, np.nan)])
        found, history = load_arrays(Path(folder, "weights.npz"), tree)
    assert set(found) == set(tree)
    for name, values in tree.items():
        np.testing.assert_array_equal(found[name], values, strict=True)
    np.testing.assert_array_equal(history, [[1.0, np.nan]])


FINITE = st.floats(1e-6, 1e6)
LINE = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=20)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@SMALL
@given(
    site=TEXT,
    latitude=st.floats(-90, 90),
    hidden=st.integers(1, 4096),
    rate=st.floats(0, 1),
    seed=st.integers(0, 2**31),
)
def test_settings(site, latitude, hidden, rate, seed):
    config = Config(
        data=DataConfig(met=Path("Met.nc"), site=site, latitude=latitude),
        model=ModelConfig(hidden_size=hidden),
        training=TrainingConfig(seed=seed, weight_decay=rate),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.toml")
        path.write_bytes(dumps(config).encode())
        found = load(path)
    assert found.model_copy(update={"data": config.data}) == config
    assert (found.data.site, found.data.latitude) == (site, latitude)


@SMALL
@given(st.lists(st.tuples(LINE, st.floats(allow_nan=True, allow_infinity=False)), min_size=1, max_size=5))
def test_scores(rows):
    import pandas as pd

    names = [name for name in SCORE_COLUMNS if name != "value"]
    frame = pd.DataFrame([{name: text for name in names} | {"value": value} for text, value in rows])
    with tempfile.TemporaryDirectory() as folder:
        found = read_scores(write_scores(frame[list(SCORE_COLUMNS)], Path(folder, "scores.csv")))
    np.testing.assert_allclose(found["value"], frame["value"], rtol=1e-12)
    for name in names:
        assert found[name].tolist() == frame[name].tolist()


@settings(SMALL, max_examples=3)
@given(records())
def test_a_record_in_netcdf(record):
    record.attrs["site"] = f"XX-{len(record.attrs['site']):03d}"
    with tempfile.TemporaryDirectory() as folder:
        path = write_netcdf(to_alma(record), Path(folder, "tower.nc"))
        try:
            found = read(path)
        except DataError as problem:
            assert "  fix: " in str(problem)
            return
    # the measures of humidity complete each other where one is missing
    derived = [name for name in record if "humidity" in str(name) or "vapor" in str(name)]
    same(found, record.drop_vars(derived))
