"""Datasets of a user's own, already in memory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from bowen.data.canonical import build_record
from bowen.data.quality_flags import list_assumptions
from bowen.data.readers.alma import (
    find_site,
    find_variables,
    from_alma,
    list_missing_weather,
    pair_series,
    with_time,
)
from bowen.data.schema import SCHEMA
from bowen.data.site_metadata import NEEDED_METADATA, load_known_sites
from bowen.errors import DataError

_WITHOUT_UNITS = ("leaf_area_index",)


def from_dataset(dataset: xr.Dataset, site: Mapping[str, Any] | None = None) -> xr.Dataset:
    """Make a canonical dataset of an xarray dataset of your own, with half-hourly or hourly series of one tower.

    Variables have ALMA or canonical names, such as `Tair` or `air_temperature`, and a unit in the attribute `units`,
    in any spelling of UDUNITS. Needed are shortwave radiation, air temperature, wind speed, precipitation, and one of
    vapor pressure deficit, relative humidity, vapor pressure or specific humidity. Pressure is estimated from the
    elevation if it is missing, and longwave radiation from the others. Flags are in `NAME_qc`; see `QC`. Variables
    without flags count as measured, and values without a known flag as filled, as `assumptions` says.

    Args:
        dataset: Series along `time`, the start of each interval in local standard time; other dimensions have size one.
        site: Metadata that the dataset lacks in its attributes or variables: site, latitude [degrees_north], longitude
            [degrees_east], elevation [m], igbp, reference_height [m], canopy_height [m], utc_offset_hours [h].

    Returns:
        The canonical dataset, in SI, with flags and complete humidity, as `read` returns it.

    Raises:
        ConfigError: `site` has an unknown key or a value of the wrong type.
        DataError: The dataset lacks stamps, variables, units or site metadata, all named in one message; or it has a
            unit that cannot be converted or impossible values; see `check_record`.
    """
    if not isinstance(dataset, xr.Dataset):
        raise DataError(
            "from_dataset",
            f"needs an xarray.Dataset, and not one of the type {type(dataset).__name__}",
            fix="convert it first, such as a table of pandas by `.to_xarray()`",
        )
    where = Path(str(dataset.encoding.get("source", "dataset"))).name
    _refuse_incomplete(dataset, site or {}, where)
    found = from_alma(dataset, where)
    return build_record(
        pair_series(found),
        found.time.values.astype("datetime64[ns]"),
        Path(where),
        found={"site": "dataset", **found.attrs},
        given=site,
        source="own dataset",
        reading=[*list_assumptions(dataset), *list_assumptions(found)],
    )


def _refuse_incomplete(dataset: xr.Dataset, given: Mapping[str, Any], where: str) -> None:
    """Name all that a dataset lacks in one error."""
    lacks = {}
    try:
        dataset = with_time(dataset, where)
    except DataError:
        lacks["stamps"] = "`time` as dates (datetime64), one for each step"
    variables = find_variables(dataset)
    if missing := list_missing_weather(variables):
        lacks["variables"] = ", ".join(f"{name} ({SCHEMA[name].alma})" for name in missing)
    parts = [part for name, names in variables.items() if name not in _WITHOUT_UNITS for part in names]
    if unitless := [part for part in parts if "units" not in dataset[part].attrs]:
        lacks["units of"] = ", ".join(unitless)
    found = {**find_site(dataset), **given}
    known = {**load_known_sites().get(str(found.get("site")), {}), **found}
    if absent := [key for key in NEEDED_METADATA if key not in known]:
        lacks["site"] = ", ".join(absent)
    if lacks:
        raise DataError(
            where,
            "lacks what a record needs",
            details=lacks,
            fix='add the stamps and variables, set units as in dataset["Tair"].attrs["units"] = "K",\n'
            '       and pass site={"latitude": 50.3, "longitude": 6.0, "igbp": "MF", ...} with the true values',
        )
