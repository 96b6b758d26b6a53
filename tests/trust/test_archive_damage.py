"""A record of an archive is read whole or refused with a sentence, whatever has become of its files."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from bowen.data import describe_outdated, list_records, load_record, open_record, read, write_record
from bowen.data.readers import archive as archives
from bowen.errors import BowenError, DataError
from tests.data.files import SITE, fluxnet_table, write_csv

pytest.importorskip("zarr", reason="an archive takes zarr: pip install bowen[archive]")
KEY = "XX-Syn_2012-2012"


@pytest.fixture(scope="module")
def tower(tmp_path_factory):
    path = tmp_path_factory.mktemp("tower") / "XX-Syn.csv"
    return read(write_csv(path, fluxnet_table()), site=SITE)


@pytest.fixture
def few(tower):
    """A record of few variables, in chunks of a quarter of it, one of them all NaN."""
    chosen = tower[["air_temperature", "air_temperature_qc", "latent_heat", "latent_heat_qc"]].copy(deep=True)
    chosen["latent_heat"][: chosen.sizes["time"] // 4] = np.nan
    return chosen


@pytest.fixture
def archive(few, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_YEAR", few.sizes["time"] // 4 * few.attrs["timestep_s"])
    write_record(tmp_path / "a.zarr", few)
    return tmp_path / "a.zarr"


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def flip_bits(archive: Path, expected: xr.Dataset, count: int, seed: int) -> int:
    """Flip bits one after the other, and read the record each time; returns how often it was refused.

    Half of the bits are anywhere in the bytes of the archive, half in a file that is as likely as any other.
    """
    random, files, refused = np.random.default_rng(seed), files_of(archive), 0
    shares = np.array([path.stat().st_size for path in files], float)
    for number in range(count):
        path = files[random.choice(len(files), p=shares / shares.sum() if number % 2 else None)]
        sound = path.read_bytes()
        damaged = bytearray(sound)
        damaged[random.integers(len(damaged))] ^= 1 << random.integers(8)
        path.write_bytes(damaged)
        try:
            xr.testing.assert_identical(read(archive / "XX-Syn"), expected)
        except BowenError as problem:
            refused += 1
            assert "\n  fix: " in str(problem)
        path.write_bytes(sound)
    return refused


def test_a_flipped_bit_is_refused_or_harmless(archive, few):
    assert flip_bits(archive, few, 200, seed=0) > 140  # harmless in metadata that are there twice


@pytest.mark.slow
def test_of_2000_flipped_bits_none_gives_another_value(tower, tmp_path):
    write_record(tmp_path / "a.zarr", tower)
    assert flip_bits(tmp_path / "a.zarr", tower, 2000, seed=1) > 1000


def test_every_file_is_needed(archive, few):
    for path in files_of(archive / KEY):
        path.rename(archive / "aside")
        with pytest.raises(DataError, match=r"\n  fix: "):
            open_record(archive, "XX-Syn")
        (archive / "aside").rename(path)
    xr.testing.assert_identical(read(archive / "XX-Syn"), few)


def test_a_chunk_without_a_value_is_written_too(archive):
    assert (archive / KEY / "latent_heat" / "c" / "0").is_file()


def test_a_record_without_its_files_is_still_listed(archive):
    (archive / KEY / "zarr.json").unlink()
    assert list_records(archive) == [KEY]


def test_a_chunk_that_goes_after_opening(archive):
    opened = open_record(archive, "XX-Syn")
    (archive / KEY / "latent_heat" / "c" / "1").unlink()
    with pytest.raises(DataError, match=r"is damaged \(latent_heat/c/1 is missing\)"):
        opened.load()


def test_chunks_that_changed_places(archive):
    first, second = (archive / KEY / name / "c" / "2" for name in ("air_temperature", "latent_heat"))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    with pytest.raises(DataError, match=r"is damaged \(\w+/c/2 is not as it was written\)"):
        load_record(open_record(archive, "XX-Syn"))


def test_a_changed_attribute(archive):
    path = archive / KEY / "zarr.json"
    path.write_text(path.read_text().replace('"elevation": 400.0', '"elevation": 401.0'))
    with pytest.raises(DataError, match=r"is damaged \(zarr.json is not as it was written\)\.\n  fix: write it again"):
        open_record(archive, "XX-Syn")


def test_values_are_those_of_the_fingerprint(archive):
    opened = open_record(archive, "XX-Syn")
    with pytest.raises(DataError, match="its values are not those that were written"):
        load_record(opened.assign_attrs(elevation=1.0).assign(latent_heat=opened.latent_heat + 1.0))


def test_a_folder_under_another_name(archive):
    (archive / KEY).rename(archive / "YY-Oth_2012-2012")
    with pytest.raises(DataError, match=f"YY-Oth_2012-2012: holds the record {KEY}"):
        open_record(archive, "YY-Oth")


def test_a_damaged_mark_of_the_archive_is_written_anew(archive, few):
    (archive / "zarr.json").write_bytes(b"\xff")
    write_record(archive, few)
    assert json.loads((archive / "zarr.json").read_bytes())["node_type"] == "group"


def test_an_archive_of_an_earlier_version_is_to_be_made_anew(archive, monkeypatch):
    assert describe_outdated(archive) is None
    monkeypatch.setattr(archives, "ESTIMATES_VERSION", archives.ESTIMATES_VERSION + 1)
    assert "1 of 1 records, such as XX-Syn_2012-2012, hold estimates" in str(describe_outdated(archive))
    assert "with estimates that have changed since: make the archive anew" in read(archive / "XX-Syn").assumptions
    (archive / KEY / "record.json").unlink()
    with pytest.raises(DataError, match=r"by an earlier version, without checksums.\n  fix: make the archive anew"):
        open_record(archive, "XX-Syn")


def test_a_format_of_a_later_version_is_refused(archive, monkeypatch):
    monkeypatch.setattr(archives, "_FORMAT", 0)
    with pytest.raises(DataError, match="in a format of its own"):
        open_record(archive, "XX-Syn")


def test_a_disk_that_cannot_be_read(archive, monkeypatch):
    opened = open_record(archive, "XX-Syn")
    path = archive / KEY / "latent_heat" / "c" / "1"
    whole = Path.read_bytes

    def fail(self):
        if self == path:
            raise OSError(5, "Input/output error")
        return whole(self)

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(DataError, match=r"latent_heat/c/1 cannot be read: .*Input/output error"):
        opened.load()


def test_estimates_that_change_raise_their_version(tmp_path):
    """If this fails, raise `ESTIMATES_VERSION`, and write the sum that is found."""
    table = fluxnet_table()
    without = table.drop(columns=[name for name in table if name.startswith("LW_IN")])
    found = read(write_csv(tmp_path / "XX-Syn.csv", without), site=SITE).longwave_down
    assert (archives.ESTIMATES_VERSION, round(float(found.sum()))) == (2, 215658)
