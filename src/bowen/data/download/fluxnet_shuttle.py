"""FLUXNET by site, through the networks' own FLUXNET Shuttle: an adapter to its two functions.

The shuttle lists what there is as a CSV file and downloads from that list. Some of its versions split the lines of the
list at every comma, also at those in a site's name (fluxnet/shuttle#115), stop at empty lines, and write into the
file's last name from the first byte on. So it gets a list of one site without a comma, and an empty folder to write to.
"""

import asyncio
import csv
import importlib
import os
import tempfile
import threading
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from bowen.data.download.samples import to_stderr
from bowen.data.folders import cache_folder
from bowen.data.schema import nearest
from bowen.errors import ConfigError, DataError
from bowen.files import replace_atomically

_LIST = "sites.csv"
_FRESH = 7.0 * 86400.0  # s for which a list is good
_INSTALL = "pip install git+https://github.com/fluxnet/shuttle.git"


def fluxnet_sites(
    cache: Path | None = None, *, newer: bool = False, report: Callable[[str], None] = to_stderr
) -> dict[str, dict[str, str]]:
    """What the networks share through the FLUXNET Shuttle, from their lists, which are kept for a week.

    Args:
        cache: The folder for downloads; by default `cache_folder()`.
        newer: Ask again, whatever is kept.
        report: Takes lines for people.

    Returns:
        By site, the columns of the shuttle's list: site_name, igbp, first_year, last_year, product_citation and more.

    Raises:
        ConfigError: The shuttle is not installed.
        DataError: It does not get the lists.
    """
    kept = _folder(cache) / _LIST
    if newer or not kept.exists() or time.time() - kept.stat().st_mtime > _FRESH:
        shuttle = _shuttle()
        report("Asking the networks what they share; this takes a minute or two.")
        with tempfile.TemporaryDirectory(prefix="bowen-") as folder:
            listed = Path(_call("list the sites", shuttle.listall, output_dir=folder))
            with replace_atomically(kept) as temporary:
                temporary.write_bytes(listed.read_bytes())
    with kept.open(encoding="utf-8", newline="") as file:
        return {row["site_id"]: row for row in csv.DictReader(file) if row.get("site_id")}


def fetch_fluxnet(site: str, cache: Path | None = None, report: Callable[[str], None] = to_stderr) -> Path:
    """The archive of a site's FLUXNET files, from the cache or, once, through the FLUXNET Shuttle.

    Args:
        site: Its identifier, e.g. "CH-Dav".
        cache: The folder for downloads; by default `cache_folder()`.
        report: Takes lines for people.

    Returns:
        A .zip file for `read`; CITATION.txt lies beside it.

    Raises:
        ConfigError: The shuttle is not installed, or no network shares such a site.
        DataError: It does not come, or is damaged.
    """
    sites = fluxnet_sites(cache, report=report)
    if site not in sites:
        sites = fluxnet_sites(cache, newer=True, report=report)
    if site not in sites:
        raise ConfigError(f"`{site}` is not among the {len(sites)} sites of the shuttle. {nearest([site], sites)}")
    row = sites[site]
    target = _folder(cache) / site / Path(row["fluxnet_product_name"]).name
    if target.exists():
        report(f"Using {target}")
        return target
    report(f"Fetching {target.name} through the FLUXNET Shuttle.")
    try:
        _bring(row, target)
        with replace_atomically(target.parent / "CITATION.txt") as temporary:
            temporary.write_text(
                f"{site}, {row.get('site_name', '')}: {target.name}, shared under CC-BY-4.0.\n"
                f"Cite:\n  {row.get('product_citation') or 'see the archive.'}\n",
                encoding="utf-8",
            )
    except OSError as problem:
        raise DataError(
            f"{target} cannot be written ({problem}). Free some space, or set BOWEN_CACHE to another folder."
        ) from problem
    report(f"Saved {target}; whom to cite: {target.parent / 'CITATION.txt'}")
    return target


def _bring(row: dict[str, str], target: Path) -> None:
    shuttle = _shuttle()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetching-") as folder:
        plain = {key: " ".join(str(value).replace(",", ";").split()) for key, value in row.items() if key}
        plain["download_link"] = row["download_link"].replace(",", "%2C")
        listed = Path(folder, _LIST)
        listed.write_text(f"{','.join(plain)}\n{','.join(plain.values())}\n", encoding="utf-8")
        site = row["site_id"]
        came = _call(f"fetch {site}", shuttle.download, [site], str(listed), output_dir=folder)
        try:
            with zipfile.ZipFile(came[0]) as archive:
                damaged = archive.testzip()
        except (IndexError, FileNotFoundError, zipfile.BadZipFile, zlib.error, EOFError) as problem:
            damaged = str(problem)
        if damaged:
            raise DataError(f"{target.name}: what came is damaged ({damaged}), so it was not kept. Try again.")
        os.replace(came[0], target)


def _folder(cache: Path | None) -> Path:
    return (cache or cache_folder()).expanduser().absolute() / "fluxnet"


def _shuttle() -> ModuleType:
    try:
        return importlib.import_module("fluxnet_shuttle")
    except ImportError as problem:
        raise ConfigError(
            "FLUXNET sites come through the networks' own package, fluxnet-shuttle, which is not installed.\n"
            f"  fix: {_INSTALL}"
        ) from problem


def _call(what: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call the shuttle in a thread, for it looks for an idle event loop, and a notebook's is busy."""
    got: dict[str, Any] = {}

    def work() -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            got["result"] = function(*arguments, **options)
        except Exception as problem:  # whatever it is, it is raised again in the caller's thread
            got["problem"] = problem
        finally:
            loop.close()

    thread = threading.Thread(target=work, daemon=True)  # a daemon, so that Ctrl-C ends it too
    thread.start()
    thread.join()
    if problem := got.get("problem"):
        raise DataError(
            f"The FLUXNET Shuttle could not {what}; is this machine off-line?\n"
            f"  its last words: {problem}\n"
            "  fix: try again later, or get the file from https://data.fluxnet.org"
        ) from problem
    return got["result"]
