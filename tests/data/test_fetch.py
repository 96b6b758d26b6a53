import dataclasses
import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from bowen.data.download import samples
from bowen.data.folders import get_cache_folder, get_data_folder
from bowen.errors import ConfigError, DataError

DEMO = samples.SAMPLES["BE-Vie"]
CONTENT = b"TIMESTAMP_START,TIMESTAMP_END\n201401010000,201401010030\n"


def archive_of(member, content=CONTENT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo(member)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


class Pip:
    """Stands for pip: puts an archive where pip was told to, and remembers how it was called."""

    def __init__(self, sample):
        self.sample, self.archive, self.stderr, self.calls = sample, archive_of(sample.member), "", []

    def run(self, command, **options):
        self.calls.append((command, options))
        if self.stderr:
            return subprocess.CompletedProcess(command, 1, "", self.stderr)
        folder = Path(command[command.index("--dest") + 1])
        sample = samples.SAMPLES[self.sample.name]
        requirement = Path(command[command.index("--requirement") + 1]).read_text()
        assert requirement == f"{sample.project}=={sample.version} --hash=sha256:{sample.archive_sha256}\n"
        assert command[command.index("--no-binary") + 1] == sample.project and "--require-hashes" in command
        (folder / sample.archive).write_bytes(self.archive)
        return subprocess.CompletedProcess(command, 0, "", "")

    def know(self, content=CONTENT):
        """Have the hashes of what this pip brings taken for the right ones."""
        hashes = {
            "archive_sha256": hashlib.sha256(self.archive).hexdigest(),
            "member_sha256": hashlib.sha256(content).hexdigest(),
        }
        samples.SAMPLES[self.sample.name] = dataclasses.replace(self.sample, **hashes)


@pytest.fixture(params=["BE-Vie"])
def pip(monkeypatch, request):
    pip = Pip(samples.SAMPLES[request.param])
    monkeypatch.setattr(subprocess, "run", pip.run)
    monkeypatch.setattr(samples, "SAMPLES", dict(samples.SAMPLES))
    pip.know()
    return pip


@pytest.fixture
def lines():
    return []


def test_the_first_call_fetches_and_the_second_does_not(pip, tmp_path, lines):
    path = samples.fetch_demo(tmp_path / "cache", lines.append)
    assert path == tmp_path / "cache" / "FLX_BE-Vie_2014.csv"
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert samples.fetch_demo(tmp_path / "cache", lines.append) == path
    assert len(pip.calls) == 1
    told = "\n".join(lines)
    for word in ("Vielsalm", "FLUXNET2015", "CC-BY-4.0", "Pastorello", "MIT", "Using"):
        assert word in told


def test_a_damaged_cache_is_fetched_anew(pip, tmp_path, lines):
    path = samples.fetch_demo(tmp_path, lines.append)
    path.write_bytes(CONTENT[:-5])
    assert samples.fetch_demo(tmp_path, lines.append).read_bytes() == CONTENT
    assert len(pip.calls) == 2
    assert any("is damaged" in line for line in lines)


def test_off_line_without_a_cache_there_are_two_ways_on(pip, tmp_path, lines):
    pip.stderr = "WARNING: Retrying\nERROR: No matching distribution found for pyrealm==1.0.0\n"
    with pytest.raises(
        DataError, match=r"not in the cache, and pip cannot fetch it \(is this machine offline\?\)"
    ) as caught:
        samples.fetch_demo(tmp_path, lines.append)
    for part in ("ERROR: No matching distribution", "`bowen demo --file PATH`", "`bowen demo --synthetic`"):
        assert part in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_off_line_with_a_cache_nothing_is_missed(pip, tmp_path, lines):
    path = samples.fetch_demo(tmp_path, lines.append)
    pip.stderr = "ERROR: off-line"
    assert samples.fetch_demo(tmp_path, lines.append) == path


@pytest.mark.parametrize("spoil", ["cut", "other member", "other content", "other archive", "pip notices"])
def test_what_is_not_the_known_file_is_not_kept(pip, tmp_path, lines, spoil):
    if spoil == "cut":
        pip.archive = pip.archive[:60]
    elif spoil == "other member":
        pip.archive = archive_of("pyrealm-1.0.0/other.csv")
    elif spoil == "other content":
        pip.archive = archive_of(DEMO.member, CONTENT + b"more\n")
    elif spoil == "pip notices":
        pip.stderr = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."
    if spoil == "other archive":
        pip.archive += b"0"
    else:
        pip.know()
    with pytest.raises(
        DataError, match=r"not the expected one .* and was discarded.\n  fix: .* `bowen demo --synthetic`"
    ):
        samples.fetch_demo(tmp_path, lines.append)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written(pip, tmp_path, lines):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be written .*\n  fix: .* set BOWEN_CACHE to another folder"):
        samples.fetch_demo(tmp_path / "file" / "cache", lines.append)


def test_a_relative_cache_folder(pip, tmp_path, lines, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert samples.fetch_demo(Path("cache"), lines.append) == tmp_path / "cache" / "FLX_BE-Vie_2014.csv"


@pytest.mark.parametrize("pip", ["FR-Hes", "US-CRT"], indirect=True)
def test_other_samples_come_the_same_way(pip, tmp_path, lines):
    path = samples.fetch_sample(pip.sample.name, tmp_path, lines.append)
    assert path == tmp_path / Path(pip.sample.member).name and path.read_bytes() == CONTENT
    assert pip.sample.attribution in lines
    pip.stderr = "ERROR: off-line"
    path.unlink()
    with pytest.raises(DataError, match=r"(?s)cannot fetch it.*get the file from the tower's network"):
        samples.fetch_sample(pip.sample.name, tmp_path, lines.append)


def test_an_unknown_sample(tmp_path):
    with pytest.raises(ConfigError, match=r"no sample tower `FR-Hess`.\n  nearest: FR-Hes"):
        samples.fetch_sample("FR-Hess", tmp_path)


def test_where_things_stay(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.platform", "linux")
    for variable in ("BOWEN_CACHE", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    assert get_cache_folder() == Path.home() / ".cache" / "bowen"
    assert get_data_folder() == Path.home() / ".local" / "share" / "bowen"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert (get_cache_folder(), get_data_folder()) == (tmp_path / "cache" / "bowen", tmp_path / "data" / "bowen")
    monkeypatch.setenv("BOWEN_CACHE", str(tmp_path / "own"))
    assert get_cache_folder() == get_data_folder() == tmp_path / "own"


@pytest.mark.skipif(not os.environ.get("BOWEN_TEST_NETWORK"), reason="needs pip's network: set BOWEN_TEST_NETWORK=1")
@pytest.mark.parametrize("name", samples.SAMPLES)
def test_samples_come_for_real(name, tmp_path, lines):
    path = samples.fetch_sample(name, tmp_path, lines.append)
    assert samples.compute_sha256(path) == samples.SAMPLES[name].member_sha256
