"""Sample towers, from source distributions on the Python package index to the user's cache folder.

The files come with pip, because pip is what everybody who has bowen has, behind whatever proxy or mirror. Even for
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
from dataclasses import dataclass
from pathlib import Path

from bowen.data.folders import cache_folder
from bowen.data.schema import nearest
from bowen.errors import ConfigError, DataError


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A tower's file inside a source distribution, known by the hashes of both.

    `backend` is the file of the build backend that the distribution names; `size` is that of the distribution [MB].
    """

    name: str
    what: str
    project: str
    version: str
    archive_sha256: str
    member: str
    member_sha256: str
    backend: str
    size: int
    attribution: str

    @property
    def archive(self) -> str:
        """The file name of the distribution."""
        return f"{self.project}-{self.version}.tar.gz"


ATTRIBUTION = """\
Tower BE-Vie (Vielsalm, Belgium), 2014, from FLUXNET2015 (CC-BY-4.0):
  Pastorello et al. (2020), The FLUXNET2015 dataset and the ONEFlux processing pipeline for eddy covariance data,
  Scientific Data 7, 225, doi:10.1038/s41597-020-0534-3.
The file is part of the source distribution of pyrealm 1.0.0 (MIT)."""

_DEMO = Sample(
    name="BE-Vie",
    what="mixed forest, Belgium, 2014, FLUXNET2015 FULLSET",
    project="pyrealm",
    version="1.0.0",
    archive_sha256="44060d8b010a5e0d80e02fddd7e72592f675a7885c8f6ae60fce9e81f31668e7",
    member="pyrealm-1.0.0/pyrealm_build_data/two_leaf/FLX_BE-Vie_2014.csv",
    member_sha256="c279181c6cdf37ee62573521705b57bc02a64639503a2c29f296316995622630",
    backend="poetry/core/masonry/api.py",
    size=50,
    attribution=ATTRIBUTION,
)
_OTHERS = (
    Sample(
        name="FR-Hes",
        what="beech forest, France, 2016, europe-fluxdata.eu, not gap-filled",
        project="hesseflux",
        version="5.0",
        archive_sha256="a51a9e86d47611a9a698bfdedebd469495670231d232403261fd0b82748f60aa",
        member="hesseflux-5.0/example/FR-Hes_europe-fluxdata_2016.txt",
        member_sha256="841e842c4cf6059b1245b5d0fa405604ebd2a5406cc01e913436f404d96570b4",
        backend="setuptools/build_meta.py",
        size=9,
        attribution="""\
Tower FR-Hes (Hesse, France), 2016, in the layout of the European Fluxes Database (europe-fluxdata.eu).
The file is the example in the source distribution of hesseflux 5.0 (MIT); see there whom to cite.""",
    ),
    Sample(
        name="US-CRT",
        what="cropland, Ohio, 2011-2013, AmeriFlux BASE, not gap-filled",
        project="micromet",
        version="0.4.5",
        archive_sha256="a2dad92b126b796ebd3fcf6ae9490c306ae65b1de3180c312bc87fd52e685d76",
        member="micromet-0.4.5/docs/notebooks/AMF_US-CRT_BASE_HH_3-5.csv",
        member_sha256="9798637ac9a417644e605fdad70fbecef7e67dd523fc9b9d3eeb6a33b6150f43",
        backend="setuptools/build_meta.py",
        size=9,
        attribution="""\
Tower US-CRT (Curtice Walter-Berger cropland, Ohio), 2011-2013, version 3-5 of AmeriFlux BASE; see its data policy:
  Chen, J., and Chu, H., AmeriFlux BASE US-CRT Curtice Walter-Berger cropland, doi:10.17190/AMF/1246156.
The file is part of the documentation in the source distribution of micromet 0.4.5 (GPL-3.0).""",
    ),
)
SAMPLES = {sample.name: sample for sample in (_DEMO, *_OTHERS)}

_STAND_IN = """
import pathlib


def prepare_metadata_for_build_wheel(folder, settings=None):
    info = pathlib.Path(folder, "{project}-{version}.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: {project}\\nVersion: {version}\\n")
    return info.name
"""
_TIMEOUT = 600  # s


def to_stderr(line: str) -> None:
    """Where progress goes if nobody says otherwise."""
    print(line, file=sys.stderr)


def fetch_demo(cache: Path | None = None, report: Callable[[str], None] = to_stderr) -> Path:
    """The FLUXNET2015 file of BE-Vie 2014, as `fetch_sample` fetches it."""
    return fetch_sample(_DEMO.name, cache, report)


def fetch_sample(name: str, cache: Path | None = None, report: Callable[[str], None] = to_stderr) -> Path:
    """The file of a sample tower, from the cache or, once, from the package index.

    Args:
        name: One of `SAMPLES`.
        cache: The folder to keep it in; by default `cache_folder()`.
        report: Takes lines for people: what is going on, and whom the data are owed to.

    Returns:
        The file, its hash verified.

    Raises:
        ConfigError: There is no such sample.
        DataError: There is no network and no cached file, what came is not what was expected, or the cache cannot be
            written.
    """
    if name not in SAMPLES:
        raise ConfigError(f"There is no sample tower `{name}`. {nearest([name], SAMPLES)}")
    sample = SAMPLES[name]
    target = (cache or cache_folder()).expanduser().absolute() / Path(sample.member).name
    if sha256_of(target) == sample.member_sha256:
        report(f"Using {target}")
    else:
        if target.exists():
            report(f"{target} is damaged.")
        report(f"Fetching {name} ({sample.size} MB) with pip.")
        try:
            _fetch(sample, target)
        except OSError as problem:
            raise DataError(
                f"{target} cannot be written ({problem}). Free some space, or set BOWEN_CACHE to another folder."
            ) from problem
        report(f"Saved {target}")
    report(sample.attribution)
    return target


def sha256_of(path: Path) -> str | None:
    """The hash of a file, or None if there is none."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return None


def _fetch(sample: Sample, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetching-") as folder:
        archive = _download(sample, Path(folder))
        if sha256_of(archive) != sample.archive_sha256:
            raise _unexpected(sample, archive.name)
        extracted = Path(folder, target.name)
        _extract(sample, archive, extracted)
        if sha256_of(extracted) != sample.member_sha256:
            raise _unexpected(sample, sample.member)
        os.replace(extracted, target)


def _download(sample: Sample, folder: Path) -> Path:
    """Let pip bring the source distribution into `folder`."""
    _write_stand_in(sample, folder / "stand-in")
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{sample.project}=={sample.version} --hash=sha256:{sample.archive_sha256}\n")
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("--retries", "1", "--timeout", "20", "--no-deps", "--no-binary", sample.project, "--no-build-isolation"),
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
        raise _unreachable(sample, f"pip took more than {_TIMEOUT} s") from problem
    if "DO NOT MATCH THE HASHES" in done.stderr:
        raise _unexpected(sample, sample.archive)
    if done.returncode or not (folder / sample.archive).exists():
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise _unreachable(sample, lines[-1] if lines else "none")
    return folder / sample.archive


def _write_stand_in(sample: Sample, folder: Path) -> None:
    backend = folder / sample.backend
    backend.parent.mkdir(parents=True)
    for parent in [*Path(sample.backend).parents][:-1]:  # a plain folder would lose to a package that is installed
        (folder / parent / "__init__.py").touch()
    backend.write_text(_STAND_IN.format(project=sample.project, version=sample.version))


def _extract(sample: Sample, archive: Path, target: Path) -> None:
    """The one member as a plain file, wherever the archive would have it."""
    try:
        with tarfile.open(archive) as contents, target.open("wb") as file:
            member = contents.extractfile(sample.member)
            while member is not None and (chunk := member.read(1 << 20)):
                file.write(chunk)
    except (tarfile.TarError, KeyError, EOFError) as problem:
        raise _unexpected(sample, archive.name) from problem


def _otherwise(sample: Sample) -> str:
    if sample.name == _DEMO.name:
        return "Run `bowen demo --file PATH` if you have a FLUXNET file, or `bowen demo --synthetic`, which needs none."
    return "Get the file from the tower's own network, and go on with it."


def _unexpected(sample: Sample, name: str) -> DataError:
    return DataError(
        f"{name} came, but it is not the file we know (its hash differs), so it was not kept. Try again, and if it "
        f"stays so suspect the network's proxy. {_otherwise(sample)}"
    )


def _unreachable(sample: Sample, last_words: str) -> DataError:
    return DataError(
        f"{sample.name} is not in the cache, and pip cannot fetch it; is this machine off-line?\n"
        f"  pip's last words: {last_words.strip()}\n"
        f"  fix: {_otherwise(sample)}"
    )
