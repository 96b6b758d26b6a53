"""PLUMBER2 by site, from the server of its publisher: weather, fluxes, and whom they are owed to."""

import contextlib
import functools
import os
import xml.etree.ElementTree as xml
from collections.abc import Callable
from pathlib import Path

from bowen.data.download.http import Watch, download
from bowen.data.download.samples import sha256_of, to_stderr
from bowen.data.folders import cache_folder
from bowen.data.readers.netcdf import ENGINES
from bowen.data.schema import nearest
from bowen.errors import ConfigError, DataError
from bowen.files import replace_atomically

SERVER = "https://thredds.nci.org.au/thredds/fileServer/ks32/CLEX_Data/PLUMBER2/v1-0"
KINDS = ("Met", "Flux")

_CITATION = """\
Tower {site}, {stem}, of PLUMBER2 version 1.0, fetched from
  {server}
Licence and access: see the dataset's page, https://doi.org/10.25914/5fdb0902607e1.

Cite the dataset and its description:
  Ukkola, A. M. (2020): PLUMBER2: forcing and evaluation datasets for a model intercomparison project for land surface
  models v1.0, NCI Australia, doi:10.25914/5fdb0902607e1.
  Ukkola, A. M., Abramowitz, G., and De Kauwe, M. G. (2022): A flux tower dataset tailored for land model evaluation,
  Earth System Science Data 14, 449-461, doi:10.5194/essd-14-449-2022.
and the collection that the tower is from, {collection}:
  {owed}
and the tower's own paper, which its network names.
"""
_OWED = {
    "FLUXNET2015": (
        "Pastorello et al. (2020): The FLUXNET2015 dataset and the ONEFlux processing pipeline for eddy covariance\n"
        "  data, Scientific Data 7, 225, doi:10.1038/s41597-020-0534-3."
    ),
    "LaThuile": (
        "the La Thuile synthesis of FLUXNET, whose data policy asks to inform the tower's scientists:\n"
        "  https://fluxnet.org/data/la-thuile-dataset/"
    ),
    "OzFlux": (
        "Beringer et al. (2016): An introduction to the Australian and New Zealand flux tower network - OzFlux,\n"
        "  Biogeosciences 13, 5895-5916, doi:10.5194/bg-13-5895-2016."
    ),
}


def plumber2_sites(
    cache: Path | None = None,
    *,
    server: str | None = None,
    report: Callable[[str], None] = to_stderr,
    pause: float = 1.0,
) -> dict[str, str]:
    """The sites of PLUMBER2, from the server's catalogue, which is asked once and then kept.

    Args:
        cache: The folder for downloads; by default `cache_folder()`.
        server: Another than `SERVER`: the folder that holds `Met` and `Flux`. By default what BOWEN_PLUMBER2 says.
        report: Takes lines for people.
        pause: Before the second attempt [s].

    Returns:
        What the names of a site's files begin with, by site.

    Raises:
        DataError: The server does not answer, or has another catalogue than we know.
    """
    server = _server(server)
    kept = _folder(cache) / "catalog.xml"
    if not kept.exists():
        url = f"{server.replace('/fileServer/', '/catalog/')}/{KINDS[0]}/catalog.xml"
        download(url, kept, report=report, pause=pause)
    ending = f"_{KINDS[0]}.nc"
    stems: list[str] = []
    with contextlib.suppress(xml.ParseError):
        names = [path.rpartition("/")[2] for item in xml.parse(kept).iter() if (path := item.get("urlPath"))]
        stems = sorted(name.removesuffix(ending) for name in names if name.endswith(ending))
    if not stems:
        kept.unlink()
        raise DataError(f"{server}: its catalogue names no files `*{ending}`. Is it a THREDDS server with PLUMBER2?")
    return {stem.split("_")[0]: stem for stem in stems}


def fetch_plumber2(
    site: str,
    cache: Path | None = None,
    *,
    server: str | None = None,
    report: Callable[[str], None] = to_stderr,
    watch: Watch = lambda name, here, total: None,
    pause: float = 1.0,
) -> tuple[Path, Path]:
    """The two files of a site of PLUMBER2, from the cache or, once, from the server.

    Beside them lie CITATION.txt and SHA256SUMS, by which a damaged file is found out the next time.

    Args:
        site: Its identifier, e.g. "AU-Tum".
        cache: The folder for downloads; by default `cache_folder()`.
        server: Another than `SERVER`: the folder that holds `Met` and `Flux`. By default what BOWEN_PLUMBER2 says.
        report: Takes lines for people.
        watch: Takes the name, the bytes that are here and the bytes in all, as they come.
        pause: Before the second attempt [s]; see `download`.

    Returns:
        Met and Flux, for `read`.

    Raises:
        ConfigError: PLUMBER2 has no such site.
        DataError: The files cannot be had or kept; see `download`.
    """
    stems = plumber2_sites(cache, server=server, report=report, pause=pause)
    if site not in stems:
        raise ConfigError(f"`{site}` is not among the {len(stems)} sites of PLUMBER2. {nearest([site], stems)}")
    server, stem, folder = _server(server), stems[site], _folder(cache) / site
    bring = functools.partial(download, begins=tuple(ENGINES), report=report, watch=watch, pause=pause)
    known = _sums(folder)
    for kind in KINDS:
        target = folder / f"{stem}_{kind}.nc"
        if target.exists() and sha256_of(target) == known.get(target.name):
            report(f"Using {target}")
            continue
        if target.name in known and target.exists():
            report(f"{target} is damaged.")
        bring(f"{server}/{kind}/{target.name}", target)
        known[target.name] = str(sha256_of(target))
        _write(folder / "SHA256SUMS", "".join(f"{digest}  {name}\n" for name, digest in sorted(known.items())))
        report(f"Saved {target}")
    collection = stem.split("_")[-1]
    owed = _OWED.get(collection, "see the network's page.")
    citation = _CITATION.format(site=site, stem=stem, server=server, collection=collection, owed=owed)
    _write(folder / "CITATION.txt", citation)
    report(f"Whom to cite: {folder / 'CITATION.txt'}")
    return folder / f"{stem}_Met.nc", folder / f"{stem}_Flux.nc"


def _server(given: str | None) -> str:
    return (given or os.environ.get("BOWEN_PLUMBER2") or SERVER).rstrip("/")


def _folder(cache: Path | None) -> Path:
    return (cache or cache_folder()).expanduser().absolute() / "plumber2"


def _sums(folder: Path) -> dict[str, str]:
    """Hashes by file, as `sha256sum` writes them."""
    with contextlib.suppress(OSError, ValueError):
        lines = (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
        return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}
    return {}


def _write(path: Path, text: str) -> None:
    with replace_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
