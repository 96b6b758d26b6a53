"""PLUMBER2 sites from the server of the publisher: weather, fluxes, and citation."""

import contextlib
import functools
import os
import xml.etree.ElementTree as xml
from collections.abc import Callable
from pathlib import Path

from bowen.data.download.checksums import is_as_downloaded, keep_checksum, read_checksums
from bowen.data.download.http import DownloadProgress, download
from bowen.data.download.samples import print_to_stderr
from bowen.data.folders import get_cache_folder
from bowen.data.readers.netcdf import NETCDF_ENGINES
from bowen.data.schema import find_nearest
from bowen.errors import ConfigError, DataError
from bowen.files import file_name, replace_atomically

PLUMBER2_SERVER = "https://thredds.nci.org.au/thredds/fileServer/ks32/CLEX_Data/PLUMBER2/v1-0"
PLUMBER2_FILES = ("Met", "Flux")
_MAX_CATALOG = 1 << 24  # bytes

_CITATION = """\
Tower {site}, {stem}, of PLUMBER2 version 1.0, fetched from
  {server}
License and access: see the dataset's page, https://doi.org/10.25914/5fdb0902607e1.

Cite the dataset and its description:
  Ukkola, A. M. (2020): PLUMBER2: forcing and evaluation datasets for a model intercomparison project for land surface
  models v1.0, NCI Australia, doi:10.25914/5fdb0902607e1.
  Ukkola, A. M., Abramowitz, G., and De Kauwe, M. G. (2022): A flux tower dataset tailored for land model evaluation,
  Earth System Science Data 14, 449-461, doi:10.5194/essd-14-449-2022.
and the collection that the tower is from, {collection}:
  {collection_citation}
and the tower's own paper, which its network names.
"""
_CITATIONS_OF_COLLECTIONS = {
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


def list_plumber2_sites(
    cache: Path | None = None,
    *,
    server: str | None = None,
    report: Callable[[str], None] = print_to_stderr,
    pause: float = 1.0,
) -> dict[str, str]:
    """List the sites of PLUMBER2, from the server's catalog, which is cached.

    Args:
        cache: The folder for downloads; by default `get_cache_folder()`.
        server: Folder with `Met` and `Flux` on a server; by default BOWEN_PLUMBER2, or else `PLUMBER2_SERVER`.
        report: Called with progress messages.
        pause: Wait before the second attempt [s].

    Returns:
        First part of the file names, by site.

    Raises:
        DataError: The server does not answer, or its catalog is of another kind.
    """
    server = _server(server)
    cached = _folder(cache) / "catalog.xml"
    if not cached.exists():
        url = f"{server.replace('/fileServer/', '/catalog/')}/{PLUMBER2_FILES[0]}/catalog.xml"
        download(url, cached, max_bytes=_MAX_CATALOG, report=report, pause=pause)
    ending = f"_{PLUMBER2_FILES[0]}.nc"
    stems: list[str] = []
    with contextlib.suppress(xml.ParseError):
        names = [path.rpartition("/")[2] for item in xml.parse(cached).iter() if (path := item.get("urlPath"))]
        stems = sorted(name.removesuffix(ending) for name in names if name.endswith(ending) and name == file_name(name))
    if not stems:
        cached.unlink()
        raise DataError(
            server, f"its catalog has no files `*{ending}`", fix="check that it is a THREDDS server with PLUMBER2"
        )
    return {stem.split("_")[0]: stem for stem in stems}


def fetch_plumber2(
    site: str,
    cache: Path | None = None,
    *,
    server: str | None = None,
    report: Callable[[str], None] = print_to_stderr,
    watch: DownloadProgress = lambda name, received, total: None,
    pause: float = 1.0,
) -> tuple[Path, Path]:
    """Fetch the two files of a site of PLUMBER2, from the cache or from the server.

    CITATION.txt and SHA256SUMS are written next to them; the latter reveals a damaged file at the next call.

    Args:
        site: Its identifier, e.g. "AU-Tum".
        cache: The folder for downloads; by default `get_cache_folder()`.
        server: Folder with `Met` and `Flux` on a server; by default BOWEN_PLUMBER2, or else `PLUMBER2_SERVER`.
        report: Called with progress messages.
        watch: Called with the name, the bytes received and the total bytes during the download.
        pause: Wait before the second attempt [s]; see `download`.

    Returns:
        Met and Flux, for `read`.

    Raises:
        ConfigError: PLUMBER2 has no such site.
        DataError: The files cannot be downloaded or written; see `download`.
    """
    stems = list_plumber2_sites(cache, server=server, report=report, pause=pause)
    if site not in stems:
        raise ConfigError(
            "plumber2",
            f"`{site}` is not one of the {len(stems)} sites of PLUMBER2",
            details=find_nearest([site], stems),
            fix="choose one of these",
        )
    server, stem, folder = _server(server), stems[site], _folder(cache) / site
    fetch = functools.partial(download, begins=tuple(NETCDF_ENGINES), report=report, watch=watch, pause=pause)
    for kind in PLUMBER2_FILES:
        target = folder / f"{stem}_{kind}.nc"
        if is_as_downloaded(target):
            report(f"Using {target}")
            continue
        known = read_checksums(folder).get(target.name)
        if known and target.exists():
            report(f"{target} is damaged.")
        fetch(f"{server}/{kind}/{target.name}", target, sha256=known)
        keep_checksum(target)
        report(f"Saved {target}")
    collection = stem.split("_")[-1]
    collection_citation = _CITATIONS_OF_COLLECTIONS.get(collection, "see the network's page.")
    citation = _CITATION.format(
        site=site, stem=stem, server=server, collection=collection, collection_citation=collection_citation
    )
    with replace_atomically(folder / "CITATION.txt") as temporary:
        temporary.write_text(citation, encoding="utf-8")
    report(f"Citation: {folder / 'CITATION.txt'}")
    return folder / f"{stem}_Met.nc", folder / f"{stem}_Flux.nc"


def _server(given: str | None) -> str:
    return (given or os.environ.get("BOWEN_PLUMBER2") or PLUMBER2_SERVER).rstrip("/")


def _folder(cache: Path | None) -> Path:
    return (cache or get_cache_folder()).expanduser().absolute() / "plumber2"
