import hashlib
import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from bowen.data import fetch
from bowen.errors import DataError

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

    def __init__(self):
        self.archive, self.stderr, self.calls = archive_of(fetch._MEMBER), "", []

    def run(self, command, **options):
        self.calls.append((command, options))
        if self.stderr:
            return subprocess.CompletedProcess(command, 1, "", self.stderr)
        folder = Path(command[command.index("--dest") + 1])
        requirement = Path(command[command.index("--requirement") + 1]).read_text()
        assert requirement == f"pyrealm==1.0.0 --hash=sha256:{fetch._ARCHIVE_SHA256}\n"
        stand_in = Path(options["env"]["PYTHONPATH"].split(":")[0])
        assert stand_in.is_absolute() and (stand_in / "poetry/core/masonry/api.py").exists()
        (folder / "pyrealm-1.0.0.tar.gz").write_bytes(self.archive)
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def pip(monkeypatch):
    pip = Pip()
    monkeypatch.setattr(subprocess, "run", pip.run)
    monkeypatch.setattr(fetch, "_ARCHIVE_SHA256", hashlib.sha256(pip.archive).hexdigest())
    monkeypatch.setattr(fetch, "_MEMBER_SHA256", hashlib.sha256(CONTENT).hexdigest())
    return pip


@pytest.fixture
def lines():
    return []


def test_the_first_call_fetches_and_the_second_does_not(pip, tmp_path, lines):
    path = fetch.fetch_demo(tmp_path / "cache", lines.append)
    assert path == tmp_path / "cache" / "FLX_BE-Vie_2014.csv"
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert fetch.fetch_demo(tmp_path / "cache", lines.append) == path
    assert len(pip.calls) == 1
    told = "\n".join(lines)
    for word in ("Vielsalm", "FLUXNET2015", "CC-BY-4.0", "Pastorello", "MIT", "Using"):
        assert word in told


def test_a_damaged_cache_is_fetched_anew(pip, tmp_path, lines):
    path = fetch.fetch_demo(tmp_path, lines.append)
    path.write_bytes(CONTENT[:-5])
    assert fetch.fetch_demo(tmp_path, lines.append).read_bytes() == CONTENT
    assert len(pip.calls) == 2
    assert any("is damaged" in line for line in lines)


def test_off_line_without_a_cache_there_are_two_ways_on(pip, tmp_path, lines):
    pip.stderr = "WARNING: Retrying\nERROR: No matching distribution found for pyrealm==1.0.0\n"
    with pytest.raises(
        DataError, match="not in the cache, and pip cannot fetch it; is this machine off-line"
    ) as caught:
        fetch.fetch_demo(tmp_path, lines.append)
    for part in ("ERROR: No matching distribution", "`bowen demo --file PATH`", "`bowen demo --synthetic`"):
        assert part in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_off_line_with_a_cache_nothing_is_missed(pip, tmp_path, lines):
    path = fetch.fetch_demo(tmp_path, lines.append)
    pip.stderr = "ERROR: off-line"
    assert fetch.fetch_demo(tmp_path, lines.append) == path


@pytest.mark.parametrize("spoil", ["cut", "other member", "other content", "other archive", "pip notices"])
def test_what_is_not_the_known_file_is_not_kept(pip, tmp_path, lines, monkeypatch, spoil):
    if spoil == "cut":
        pip.archive = pip.archive[:60]
    elif spoil == "other member":
        pip.archive = archive_of("pyrealm-1.0.0/other.csv")
    elif spoil == "other content":
        pip.archive = archive_of(fetch._MEMBER, CONTENT + b"more\n")
    elif spoil == "pip notices":
        pip.stderr = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."
    if spoil == "other archive":
        pip.archive += b"0"
    else:
        monkeypatch.setattr(fetch, "_ARCHIVE_SHA256", hashlib.sha256(pip.archive).hexdigest())
    with pytest.raises(DataError, match=r"came, but it is not the file we know .* `bowen demo --synthetic`"):
        fetch.fetch_demo(tmp_path, lines.append)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written(pip, tmp_path, lines):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be written .* set BOWEN_CACHE to another folder"):
        fetch.fetch_demo(tmp_path / "file" / "cache", lines.append)


def test_a_relative_cache_folder(pip, tmp_path, lines, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fetch.fetch_demo(Path("cache"), lines.append) == tmp_path / "cache" / "FLX_BE-Vie_2014.csv"


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("BOWEN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert fetch.cache_folder() == Path.home() / ".cache" / "bowen"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert fetch.cache_folder() == tmp_path / "bowen"
    monkeypatch.setenv("BOWEN_CACHE", str(tmp_path / "own"))
    assert fetch.cache_folder() == tmp_path / "own"


def test_the_stand_in_is_a_build_backend_that_only_names_the_distribution(tmp_path):
    space = {}
    exec(fetch._STAND_IN, space)
    name = space["prepare_metadata_for_build_wheel"](str(tmp_path))
    assert (tmp_path / name / "METADATA").read_text().splitlines()[1:] == ["Name: pyrealm", "Version: 1.0.0"]
