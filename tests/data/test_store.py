import os

import numpy as np
import pytest
import xarray as xr

from bowen.data import write_netcdf
from bowen.errors import RunError


@pytest.fixture
def dataset():
    time = np.datetime64("2012-01-01", "ns") + np.arange(100) * np.timedelta64(1800, "s")
    flags = ("time", np.zeros(100, dtype=np.int8))
    return xr.Dataset({"a": ("time", np.arange(100.0)), "a_qc": flags, "b": 1.5}, {"time": time}, {"site": "XX-Syn"})


def test_a_written_dataset_is_read_back(dataset, tmp_path):
    path = write_netcdf(dataset, tmp_path / "new" / "file.nc")
    xr.testing.assert_identical(xr.load_dataset(path, engine="h5netcdf"), dataset)
    assert os.listdir(path.parent) == ["file.nc"]


@pytest.mark.parametrize(("owner", "step"), [(xr.Dataset, "to_netcdf"), (os, "replace")], ids=["writing", "at the end"])
def test_a_full_disk_loses_nothing(dataset, tmp_path, monkeypatch, owner, step):
    path = write_netcdf(dataset, tmp_path / "file.nc")
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(owner, step, full)
    with pytest.raises(
        RunError, match=r"cannot be written \(.*No space left on device\); existing files are unchanged"
    ):
        write_netcdf(dataset * 2, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["file.nc"]


def test_a_folder_that_cannot_be_made(dataset, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        write_netcdf(dataset, tmp_path / "file" / "file.nc")
