"""What a network sees: features that some records lack, and targets that some towers do not measure."""

import numpy as np
import pytest

from bowen.data import QC
from bowen.data.features import Scaler, compute_features
from bowen.data.schema import TURBULENT
from bowen.errors import DataError
from bowen.experiments.twin_experiment import make_twin


@pytest.fixture(scope="module")
def record():
    return make_twin(30)[0]


def fitted(records, *attributes):
    seen = [(record, np.full(record.sizes["time"], True)) for record in records]
    return Scaler.fit(seen, ["longwave_down"], attributes)


def unmeasured(record, name):
    return record.assign({f"{name}_qc": ("time", np.full(record.sizes["time"], QC.MISSING, "int8"))})


def test_leaf_area_that_is_not_known_everywhere_is_the_mean_elsewhere(record):
    leafy = record.assign(leaf_area_index=("time", np.linspace(1.0, 3.0, record.sizes["time"])))
    assert "leaf_area_index" not in fitted([record, leafy]).features
    scaler = fitted([record, leafy], "leaf_area_index")
    column = scaler.features.index("leaf_area_index")
    shown = [scaler.apply(compute_features(of, ["longwave_down"])) for of in (record, leafy)]
    assert not shown[0][:, column].any()
    assert shown[1][:, column].mean() == pytest.approx(0.0, abs=1e-9) and np.ptp(shown[1][:, column]) > 3.0
    np.testing.assert_array_equal(*(np.delete(of, column, axis=1) for of in shown))
    with pytest.raises(DataError, match="has no leaf_area_index, which the model was trained with"):
        fitted([leafy]).apply(compute_features(record, ["longwave_down"]))


def test_a_target_need_not_be_measured_at_every_tower(record):
    both, one = fitted([record]), fitted([record, unmeasured(record, "sensible_heat")])
    assert both.mean["sensible_heat"] == one.mean["sensible_heat"]
    with pytest.raises(DataError, match="training records: none has measured sensible_heat"):
        fitted([unmeasured(record, TURBULENT[1])])


def test_runoff_alone_may_be_all_there_is_to_train_on(record):
    bare = record.drop_vars([name for name in record if str(name).startswith(TURBULENT)])
    flow = bare.assign(runoff=0.0 * bare.precipitation, runoff_qc=0 * bare.precipitation_qc)
    assert fitted([flow]).features == fitted([record]).features
    with pytest.raises(DataError, match="training records: none has measured latent_heat"):
        fitted([bare])
