"""Default folders: the cache for downloads, and the data folder for the user's table of sites."""

import os
from pathlib import Path

import platformdirs


def get_cache_folder() -> Path:
    """Return the folder for downloads: BOWEN_CACHE, or the platform's cache folder."""
    return _choose_folder(platformdirs.user_cache_path("bowen", appauthor=False))


def get_data_folder() -> Path:
    """Return the folder for the user's table of sites: BOWEN_CACHE, or the platform's data folder."""
    return _choose_folder(platformdirs.user_data_path("bowen", appauthor=False))


def _choose_folder(default: Path) -> Path:
    return Path(os.environ.get("BOWEN_CACHE") or default)
