import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from bowen.data import compute_fingerprint, list_records, open_record, pair_files, read, write_record
from bowen.errors import ConfigError, DataError, RunError
from tests.data.files import SITE, fluxnet_table, plumber2_files, write_csv, write_nc


@pytest.fixture(scope="module")
def tower(tmp_path_factory):
    path = tmp_path_factory.mktemp("tower") / "XX-Syn.csv"
    return read(write_csv(path, fluxnet_table()), site=SITE)


def other_years(dataset, days=730):
    return dataset.assign_coords(time=dataset.time + np.timedelta64(days, "D"))


def test_without_zarr_there_is_a_hint(tower, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ConfigError, match=r'pip install "bowen\[archive\]"'):
        write_record(tmp_path / "a.zarr", tower)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_what_is_no_archive(tmp_path, folder):
    with pytest.raises(DataError, match=r"is no archive of records.\n  fix: make one with `bowen archive`"):
        list_records(tmp_path / folder)


class TestWithZarr:
    @pytest.fixture(autouse=True)
    def zarr(self):
        pytest.importorskip("zarr", reason="an archive takes zarr: pip install bowen[archive]")

    @pytest.fixture
    def archive(self, tower, tmp_path):
        assert write_record(tmp_path / "a.zarr", tower) == "XX-Syn_2012-2012"
        return tmp_path / "a.zarr"

    def test_what_comes_back_is_what_went_in(self, archive, tower):
        opened = open_record(archive, "XX-Syn")
        xr.testing.assert_identical(opened.load(), tower)
        assert compute_fingerprint(opened) == compute_fingerprint(tower) and list(opened.attrs) == list(tower.attrs)
        assert {name: opened[name].dtype for name in opened} == {name: tower[name].dtype for name in tower}
        assert opened.encoding["source"] == str(archive / "XX-Syn_2012-2012")

    def test_chunks_are_of_a_year(self, tower, tmp_path):
        hours = np.datetime64("2001-01-01", "ns") + np.arange(3 * 8760) * np.timedelta64(1, "h")
        long = xr.Dataset({"a": ("time", np.arange(len(hours)) / 3.0)}, {"time": hours})
        long.attrs = tower.attrs | {"timestep_s": 3600}
        write_record(tmp_path / "a.zarr", long)
        opened = open_record(tmp_path / "a.zarr", "XX-Syn_2001-2003")
        assert opened["a"].encoding["chunks"] == (8760,)
        xr.testing.assert_identical(opened.sel(time="2002").load(), long.sel(time="2002"))

    def test_several_periods_of_a_site(self, archive, tower):
        later = other_years(tower)
        assert write_record(archive, later) == "XX-Syn_2014-2014"
        assert list_records(archive) == ["XX-Syn_2012-2012", "XX-Syn_2014-2014"]
        assert compute_fingerprint(open_record(archive, "XX-Syn_2014-2014")) == compute_fingerprint(later)
        with pytest.raises(
            ConfigError, match=r"several records of XX-Syn.\n  fix: choose one of XX-Syn_2012-2012, XX-Syn_2014"
        ):
            open_record(archive, "XX-Syn")

    def test_an_unknown_record(self, archive):
        with pytest.raises(ConfigError, match=r"a.zarr: has no record `XX-Sym`.\n  available: XX-Syn_2012-2012"):
            open_record(archive, "XX-Sym")

    def test_a_record_replaces_that_of_the_same_years(self, archive, tower):
        better = tower.assign(latent_heat=tower.latent_heat + 1.0)
        write_record(archive, better)
        assert list_records(archive) == ["XX-Syn_2012-2012"]
        assert compute_fingerprint(open_record(archive, "XX-Syn")) == compute_fingerprint(better)
        assert sorted(path.name for path in archive.iterdir()) == ["XX-Syn_2012-2012", "zarr.json"]

    def test_an_opened_record_can_be_written_again(self, archive, tower, tmp_path):
        write_record(tmp_path / "b.zarr", open_record(archive, "XX-Syn"))
        xr.testing.assert_identical(open_record(tmp_path / "b.zarr", "XX-Syn").load(), tower)

    def test_a_full_disk_loses_nothing(self, archive, tower, monkeypatch):
        def full(*arguments, **options):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(xr.Dataset, "to_zarr", full)
        with pytest.raises(RunError, match=r"cannot be written .*No space left.*; existing records are unchanged"):
            write_record(archive, other_years(tower))
        assert sorted(path.name for path in archive.iterdir()) == ["XX-Syn_2012-2012", "zarr.json"]

    def test_a_failing_rename_puts_the_old_record_back(self, archive, tower, monkeypatch):
        rename = Path.rename

        def refuse(self, target):
            if f".{os.getpid()}." in str(self):
                raise OSError(5, "Input/output error")
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", refuse)
        with pytest.raises(RunError):
            write_record(archive, tower.assign(latent_heat=tower.latent_heat + 1.0))
        assert compute_fingerprint(open_record(archive, "XX-Syn")) == compute_fingerprint(tower)

    def test_a_machine_that_stopped_half_way(self, archive, tower):
        shutil.copytree(archive / "XX-Syn_2012-2012", archive / ".new.XX-Syn_2014-2014.abc" / "XX-Syn_2014-2014")
        assert list_records(archive) == ["XX-Syn_2012-2012"], "a record half written is never listed"
        (archive / "XX-Syn_2012-2012").rename(archive / ".old.XX-Syn_2012-2012")
        assert list_records(archive) == ["XX-Syn_2012-2012"], "a record put aside is still found"
        assert compute_fingerprint(open_record(archive, "XX-Syn")) == compute_fingerprint(tower)
        better = tower.assign(latent_heat=tower.latent_heat + 1.0)
        write_record(archive, better)
        assert compute_fingerprint(open_record(archive, "XX-Syn")) == compute_fingerprint(better)
        assert not (archive / ".old.XX-Syn_2012-2012").exists()

    def test_a_damaged_record(self, archive):
        (archive / "XX-Syn_2012-2012" / "zarr.json").write_text("{")
        with pytest.raises(DataError, match=r"is damaged \(zarr.json is not as it was written\)"):
            open_record(archive, "XX-Syn")


def test_met_goes_with_the_flux_of_its_name(tmp_path):
    for name in (
        "a/XX-Syn_2012_Met.nc",
        "b/XX-Syn_2012_Flux.nc",
        "a/YY-Syn_2012_Met.nc",
        "a/FLX_ZZ-Syn_FLUXNET2015_FULLSET_HH_2012-2013_1-4.csv",
        "a/FLX_ZZ-Syn_FLUXNET2015_FULLSET_DD_2012-2013_1-4.csv",
        "a/CITATION.txt",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    a, b = tmp_path / "a", tmp_path / "b"
    assert pair_files([a, b]) == [
        (a / "FLX_ZZ-Syn_FLUXNET2015_FULLSET_HH_2012-2013_1-4.csv", None),
        (a / "XX-Syn_2012_Met.nc", b / "XX-Syn_2012_Flux.nc"),
        (a / "YY-Syn_2012_Met.nc", None),
    ]
    (a / "YY-Syn_2012_Flux.nc").write_text("")
    assert pair_files([a / "YY-Syn_2012_Met.nc"]) == [(a / "YY-Syn_2012_Met.nc", a / "YY-Syn_2012_Flux.nc")], (
        "not named"
    )
    assert pair_files([a / "CITATION.txt"]) == [(a / "CITATION.txt", None)], "what is named is taken"
    with pytest.raises(
        DataError, match=r"XX-Syn_2012_Flux.nc: has no Met file `XX-Syn_2012_Met.nc`.\n  fix: pass that file too"
    ):
        pair_files([b])
    with pytest.raises(DataError, match="no such file or folder"):
        pair_files([tmp_path / "c"])


def test_a_pair_of_files_is_what_read_takes(tmp_path):
    for kind, content in zip(("Met", "Flux"), plumber2_files(), strict=True):
        write_nc(tmp_path / f"XX-Syn_2012_{kind}.nc", content)
    assert "latent_heat" in read(*pair_files([tmp_path])[0])
