"""Ranges of site metadata, outside which a number is a mistake."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

SITE_RANGES: Mapping[str, tuple[float, float, str]] = {  # lowest, highest, unit
    "latitude": (-90.0, 90.0, "degrees_north"),
    "longitude": (-180.0, 180.0, "degrees_east"),
    "elevation": (-500.0, 9000.0, "m"),
    "utc_offset_hours": (-12.0, 14.0, "h"),
    "canopy_height": (1e-3, 130.0, "m"),
    "reference_height": (0.1, 600.0, "m"),
    "mean_annual_temperature": (210.0, 310.0, "K"),
    "annual_precipitation": (0.0, 15000.0, "kg m-2"),
}


def find_impossible_number(site: Mapping[str, Any]) -> tuple[str, str] | None:
    """Find a number that cannot be that of a site.

    Args:
        site: Metadata by the names of `SITE_RANGES`, among others; None where a number is not known.

    Returns:
        Its name, and a clause about it; None if all are possible.
    """
    known = {name: site[name] for name in SITE_RANGES if site.get(name) is not None}
    for name, value in known.items():
        low, high, unit = SITE_RANGES[name]
        if not isinstance(value, int | float | np.number) or not low <= float(value) <= high:
            return name, f"{name} is {value}, and must be between {low:g} and {high:g} {unit}"
    canopy, instruments = known.get("canopy_height", 0.0), known.get("reference_height", math.inf)
    if canopy >= instruments:
        return "reference_height", f"the instruments ({instruments:g} m) must be above the canopy ({canopy:g} m)"
    return None
