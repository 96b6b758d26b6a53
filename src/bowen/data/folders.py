"""Where things stay that nobody named a folder for: downloads, and the user's own table of sites."""

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """Where downloads stay: BOWEN_CACHE, or `bowen` in the platform's folder for caches."""
    return _folder("XDG_CACHE_HOME", windows="bowen/Cache", mac="Library/Caches", other=".cache")


def data_folder() -> Path:
    """Where the user's table of sites stays: BOWEN_CACHE, or `bowen` in the platform's folder for data."""
    return _folder("XDG_DATA_HOME", windows="bowen", mac="Library/Application Support", other=".local/share")


def _folder(variable: str, *, windows: str, mac: str, other: str) -> Path:
    if own := os.environ.get("BOWEN_CACHE"):
        return Path(own)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / windows
    usual = Path.home() / (mac if sys.platform == "darwin" else other)
    return Path(os.environ.get(variable) or usual) / "bowen"
