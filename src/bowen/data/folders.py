"""Default folders: the cache for downloads, and the data folder for the user's table of sites."""

import os
from pathlib import Path

import platformdirs

from bowen.errors import DataError


def get_cache_folder() -> Path:
    """Return the folder for downloads: BOWEN_CACHE, or the platform's cache folder."""
    return _choose_folder(platformdirs.user_cache_path("bowen", appauthor=False))


def get_data_folder() -> Path:
    """Return the folder for the user's table of sites: BOWEN_CACHE, or the platform's data folder."""
    return _choose_folder(platformdirs.user_data_path("bowen", appauthor=False))


def _choose_folder(default: Path) -> Path:
    return Path(os.environ.get("BOWEN_CACHE") or default)


def cache_write_error(target: Path, problem: OSError) -> DataError:
    """Return the error that a file of the cache cannot be written."""
    fix = "free some space, or set BOWEN_CACHE to another folder"
    return DataError(str(target), f"cannot be written ({problem})", fix=fix)
