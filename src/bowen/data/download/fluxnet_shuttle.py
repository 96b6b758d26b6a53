"""FLUXNET sites through the networks' FLUXNET Shuttle: an adapter to its two functions.

The shuttle lists the available sites in a CSV file and downloads from that list. Some of its versions split the lines
of the list at every comma, including those in a site's name (fluxnet/shuttle#115), stop at empty lines, and write
directly to the final file name. Therefore it gets a list of one site without commas, and an empty folder to write to.
"""

import asyncio
import csv
import importlib
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from bowen.data.download.checksums import compute_sha256, keep_checksum, read_checksums
from bowen.data.download.samples import print_to_stderr
from bowen.data.folders import cache_write_error, get_cache_folder
from bowen.data.schema import find_nearest
from bowen.errors import ConfigError, DataError
from bowen.files import UNREADABLE, file_name, open_file, open_zip, replace_atomically, temporary_folder

_LIST = "sites.csv"
_MAX_SECONDS = 6.0 * 3600.0  # of a call of the shuttle
_MAX_AGE = 7.0 * 86400.0  # s; older lists are fetched again
_INSTALL = "pip install git+https://github.com/fluxnet/shuttle.git"


def list_fluxnet_sites(
    cache: Path | None = None, *, newer: bool = False, report: Callable[[str], None] = print_to_stderr
) -> dict[str, dict[str, str]]:
    """List the sites shared through the FLUXNET Shuttle, from the networks' lists, cached for a week.

    Args:
        cache: The folder for downloads; by default `get_cache_folder()`.
        newer: Fetch the lists again even if they are cached.
        report: Called with progress messages.

    Returns:
        By site, the columns of the shuttle's list: site_name, igbp, first_year, last_year, product_citation and more.

    Raises:
        ConfigError: The shuttle is not installed.
        DataError: The shuttle cannot get the lists.
    """
    cached = _folder(cache) / _LIST
    if newer or not cached.exists() or time.time() - cached.stat().st_mtime > _MAX_AGE:
        shuttle = _shuttle()
        report("Fetching the lists of sites from the networks; this takes a minute or two.")
        with tempfile.TemporaryDirectory(prefix="bowen-") as folder:
            listed = Path(_call("list the sites", shuttle.listall, output_dir=folder))
            with replace_atomically(cached) as temporary:
                temporary.write_bytes(listed.read_bytes())
    with cached.open(encoding="utf-8", newline="") as file:
        return {row["site_id"]: row for row in csv.DictReader(file) if row.get("site_id")}


def fetch_fluxnet(site: str, cache: Path | None = None, report: Callable[[str], None] = print_to_stderr) -> Path:
    """Fetch the archive of a site's FLUXNET files, from the cache or through the FLUXNET Shuttle.

    Args:
        site: Its identifier, e.g. "CH-Dav".
        cache: The folder for downloads; by default `get_cache_folder()`.
        report: Called with progress messages.

    Returns:
        A .zip file for `read`, with CITATION.txt next to it.

    Raises:
        ConfigError: The shuttle is not installed, or no network shares such a site.
        DataError: The download fails, or the archive is damaged.
    """
    sites = list_fluxnet_sites(cache, report=report)
    if site not in sites:
        sites = list_fluxnet_sites(cache, newer=True, report=report)
    if site not in sites:
        raise ConfigError(
            "fluxnet",
            f"`{site}` is not one of the {len(sites)} sites of the shuttle",
            details=find_nearest([site], sites),
            fix="choose one of these",
        )
    row = sites[site]
    target = _folder(cache) / file_name(site) / file_name(Path(row["fluxnet_product_name"]).name)
    known = read_checksums(target.parent).get(target.name)
    if target.exists():
        if known in (None, compute_sha256(target)):
            report(f"Using {target}")
            return target
        report(f"{target} is damaged.")
    report(f"Fetching {target.name} through the FLUXNET Shuttle.")
    try:
        _download_archive(row, target, known)
        keep_checksum(target)
        with replace_atomically(target.parent / "CITATION.txt") as temporary:
            temporary.write_text(
                f"{site}, {row.get('site_name', '')}: {target.name}, shared under CC-BY-4.0.\n"
                f"Cite:\n  {row.get('product_citation') or 'see the archive.'}\n",
                encoding="utf-8",
            )
    except OSError as problem:
        raise cache_write_error(target, problem) from problem
    report(f"Saved {target}; citation: {target.parent / 'CITATION.txt'}")
    return target


def _download_archive(row: dict[str, str], target: Path, known: str | None) -> None:
    shuttle = _shuttle()
    if not row["download_link"].startswith(("https://", "http://")):
        raise DataError(row["download_link"], "is no address of a download", fix="get the file in a browser")
    target.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(target.parent, target.name) as folder:
        plain = {key: " ".join(str(value).replace(",", ";").split()) for key, value in row.items() if key}
        plain["download_link"] = row["download_link"].replace(",", "%2C")
        listed = folder / _LIST
        listed.write_text(f"{','.join(plain)}\n{','.join(plain.values())}\n", encoding="utf-8")
        site = row["site_id"]
        files = _call(f"fetch {site}", shuttle.download, [site], str(listed), output_dir=str(folder))
        try:
            with open_file(files[0]) as file, open_zip(file) as archive:
                damaged = archive.testzip()
        except UNREADABLE as problem:
            damaged = str(problem)
        if not damaged and known and compute_sha256(Path(files[0])) != known:
            damaged = "its hash is not that of the first download"
        if damaged:
            raise DataError(target.name, f"the download is damaged ({damaged}) and was discarded", fix="try again")
        os.replace(files[0], target)


def _folder(cache: Path | None) -> Path:
    return (cache or get_cache_folder()).expanduser().absolute() / "fluxnet"


def _shuttle() -> ModuleType:
    try:
        return importlib.import_module("fluxnet_shuttle")
    except ImportError as problem:
        raise ConfigError(
            "fluxnet", "requires the networks' package fluxnet-shuttle, which is not installed", fix=_INSTALL
        ) from problem


def _call(what: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call the shuttle in a thread, because it needs an idle event loop, and that of a notebook is busy."""
    outcome: dict[str, Any] = {}

    def work() -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            outcome["result"] = function(*arguments, **options)
        except Exception as problem:  # raised again in the calling thread
            outcome["problem"] = problem
        finally:
            loop.close()

    thread = threading.Thread(target=work, daemon=True)  # a daemon, so that Ctrl-C ends it
    thread.start()
    thread.join(_MAX_SECONDS)
    if thread.is_alive():
        outcome["problem"] = TimeoutError(f"no end after {_MAX_SECONDS / 3600.0:.0f} h")
    if problem := outcome.get("problem"):
        raise DataError(
            "FLUXNET Shuttle",
            f"could not {what} (is this machine offline?)",
            details={"its last message": str(problem)},
            fix="try again later, or get the file from https://data.fluxnet.org",
        ) from problem
    return outcome["result"]
