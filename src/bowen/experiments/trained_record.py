"""Records that trained a model, recognized by the identity of their site, whatever the version of the record."""

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from bowen import data

MAX_SITE_DISTANCE = 1.0  # km, within which a place without a code is taken for a site
EARTH_RADIUS = 6371.0  # km
SITE_CODE = re.compile(r"(?<![A-Za-z])(?:[A-Z]{2}[-_][A-Za-z0-9]{3}|[a-z]{2}-[a-z0-9]{3})(?![A-Za-z0-9])")


@dataclasses.dataclass(frozen=True)
class TrainedRecord:
    """Record that trained a model: site, period and checksum.

    A version that kept the checksum only gave no period, and the site of the first record alone.
    """

    fingerprint: str
    site: str = ""
    latitude: float = math.nan
    longitude: float = math.nan
    first: str = ""  # first and last step
    last: str = ""
    has_corrections: bool = False  # whether its site-specific water corrections are allowed

    @classmethod
    def of(cls, dataset: xr.Dataset, has_corrections: bool = False) -> "TrainedRecord":
        """Describe a canonical dataset."""
        site, times = dataset.attrs, dataset.time.values
        return cls(
            data.compute_fingerprint(dataset),
            str(site["site"]),
            float(site["latitude"]),
            float(site["longitude"]),
            f"{times[0]:.19}",
            f"{times[-1]:.19}",
            has_corrections,
        )

    @property
    def period(self) -> str:
        """First and last day."""
        return f"{self.first:.10} to {self.last:.10}"

    @property
    def years(self) -> str:
        """First and last year."""
        return "-".join(dict.fromkeys((self.first[:4], self.last[:4]))) or "of unknown years"

    def is_at(self, site: Mapping[str, Any]) -> bool:
        """Check that the record is of a site; see `is_same_site`."""
        return is_same_site(dataclasses.asdict(self), site)

    def covers(self, times: np.ndarray) -> np.ndarray:
        """Find the steps on the days of the record; all, if they are not known.

        Whole days count, because the last step of an hourly or daily version begins before that of a half-hourly one.
        """
        if not self.first:
            return np.full(len(times), True)
        days = times.astype("datetime64[D]")
        return (days >= np.datetime64(self.first, "D")) & (days <= np.datetime64(self.last, "D"))

    def seconds_from(self, times: np.ndarray) -> float:
        """Return seconds between the record and a period; less than zero for what they share."""
        if not self.first:
            return math.inf
        first, last = np.datetime64(self.first), np.datetime64(self.last)
        return float((max(first, times[0]) - min(last, times[-1])) / np.timedelta64(1, "s"))


def find_site_code(name: str) -> str:
    """Find the code of a site in its name, such as US-ME2 in "us-me2" or "FLX_US-Me2", or the number of a gauge.

    Returns:
        The code in capitals; nothing, if the name has none.
    """
    found = SITE_CODE.search(name)
    return found.group().upper().replace("_", "-") if found else name if name.isdigit() else ""


def is_same_site(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Check that two sites are the same: by their codes, or within a kilometer where one has no code.

    Args:
        one: `site`, its name; `latitude` and `longitude`. [degree]
        other: The same of the other.
    """
    codes = [find_site_code(str(site.get("site", ""))) for site in (one, other)]
    if all(codes):
        return codes[0] == codes[1]
    places = [float(site.get(name, math.nan)) for site in (one, other) for name in ("latitude", "longitude")]
    return site_distance(*places) <= MAX_SITE_DISTANCE


def site_distance(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Return the distance between two places on the globe, by the haversine formula. [km]."""
    there, here = math.radians(latitude), math.radians(other_latitude)
    half = math.sin((there - here) / 2) ** 2
    half += math.cos(there) * math.cos(here) * math.sin(math.radians(longitude - other_longitude) / 2) ** 2
    return 2 * EARTH_RADIUS * math.asin(min(1.0, math.sqrt(half)))
