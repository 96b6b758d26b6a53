"""ALMA names: the convention of PLUMBER2, of model intercomparisons, and of the files that bowen writes."""

from typing import Any

import numpy as np
import xarray as xr

from bowen.data.schema import ALMA_NAME, QC, SCHEMA, add_attributes
from bowen.data.time_axis import format_minute
from bowen.data.units import convert_to_si
from bowen.errors import DataError

_CANONICAL = {alias: v.name for v in SCHEMA.values() for alias in (v.alma, *v.aliases) if alias}
_SITE_SCALARS = {  # attribute of a canonical dataset, stored as scalar variable: units, standard name
    "latitude": ("degrees_north", "latitude"),
    "longitude": ("degrees_east", "longitude"),
    "elevation": ("m", "surface_altitude"),
    "reference_height": ("m", ""),
    "canopy_height": ("m", ""),
}
_SITE_ATTRIBUTES = {"site": "site_code", "utc_offset_hours": "utc_offset_h"}
_CLASS = "IGBP_veg_short"
_OUR_NAME = "bowen_name"  # attribute, in a file, of a variable that named its own ALMA name
_OF_THE_FILE = ("Conventions", "title", "featureType")
_FILL = -9990.0  # and below; some files use -9999 without declaring it
_POST_PROCESSED = 101  # PLUMBER2: replaced by another source, e.g. carbon dioxide of Mauna Loa
_SHARE, _MIN_SHARE = "_qcfrac", 0.75  # of the half-hours of a day that were measured, as in FLUXNET's daily files
_ESTIMATED = "estimated"  # in the attribute `note` of a variable


def to_alma(dataset: xr.Dataset) -> xr.Dataset:
    """Rename a record or a simulation to ALMA names, as a CF dataset that `read_plumber2` reads back.

    A simulated variable names its own, in the attribute `alma_name`; variables ALMA has no name for keep ours. The
    site's position and heights become scalar variables.

    Args:
        dataset: A canonical dataset.

    Returns:
        The same values, renamed, with CF attributes.
    """
    file = add_attributes(dataset)
    renamed = {}
    for name, variable in file.data_vars.items():
        stem = str(name).removesuffix("_qc")
        own = variable.attrs.pop(ALMA_NAME, "")
        if alma := own or (SCHEMA[stem].alma if stem in SCHEMA else ""):
            renamed[name] = alma + str(name)[len(stem) :]
        if own:
            variable.attrs[_OUR_NAME] = str(name)
    file = file.rename(renamed)
    file.attrs = {
        "Conventions": "CF-1.11",
        "title": " ".join(str(dataset.attrs[key]) for key in ("site", "model", "source") if key in dataset.attrs),
        "featureType": "timeSeries",
        **{_SITE_ATTRIBUTES.get(str(key), key): value for key, value in dataset.attrs.items()},
    }
    for key, (units, standard_name) in _SITE_SCALARS.items():
        if key in file.attrs:
            named = {"standard_name": standard_name} if standard_name else {}
            file[key] = xr.DataArray(file.attrs.pop(key), attrs={"units": units, **named})
    if "igbp" in file.attrs:
        file[_CLASS] = xr.DataArray(file.attrs.pop("igbp"), attrs={"long_name": "IGBP vegetation class"})
    if "time" in file.coords:
        meaning = "Local standard time at the start of the averaging interval"
        file["time"].attrs = {"standard_name": "time", "long_name": meaning}
    return file


def undo_alma(file: xr.Dataset) -> xr.Dataset:
    """Give a dataset of `to_alma` our names back, and the site among the attributes.

    Args:
        file: A dataset from `to_alma`.

    Returns:
        The same values under canonical names.
    """
    back = {alias + end: name + end for alias, name in _CANONICAL.items() for end in ("", "_qc")}
    own = {str(name): variable.attrs[_OUR_NAME] for name, variable in file.items() if _OUR_NAME in variable.attrs}
    back |= own
    dataset = file.rename({name: back[str(name)] for name in file.data_vars if str(name) in back})
    for alma, name in own.items():
        attributes = {key: value for key, value in file[alma].attrs.items() if key != _OUR_NAME}
        dataset[name].attrs = attributes | {ALMA_NAME: alma}
    scalars = {name: file[name].item() for name in (*_SITE_SCALARS, _CLASS) if name in file}
    ours = {**{theirs: ours for ours, theirs in _SITE_ATTRIBUTES.items()}, _CLASS: "igbp"}
    attributes = {**file.attrs, **scalars}
    dataset = dataset.drop_vars(list(scalars))
    dataset.attrs = {ours.get(key, key): value for key, value in attributes.items() if key not in _OF_THE_FILE}
    return dataset


def from_alma(file: xr.Dataset, where: str) -> xr.Dataset:
    """Convert the known variables of an ALMA file to canonical names, SI units and flags, and drop the rest.

    Args:
        file: The dataset read by xarray.
        where: The name of the file, for messages.

    Returns:
        A dataset over `time` with a `_qc` for each variable; its attributes are the site metadata in the file.

    Raises:
        DataError: The file has more than one place, or a unit that cannot be converted.
    """
    places = {str(size): file.sizes[size] for size in ("x", "y", "z", "lat", "lon") if file.sizes.get(size, 1) > 1}
    if places:
        raise DataError(
            where, f"has more than one place ({places})", fix="select one tower with xarray's `.isel` first"
        )
    if "time" not in file or not np.issubdtype(file["time"].dtype, np.datetime64):
        raise DataError(
            where, "has no `time` that can be read as dates of the standard calendar", fix="correct its units"
        )
    single = file.squeeze([size for size in file.sizes if size != "time" and file.sizes[size] == 1], drop=True)
    found = xr.Dataset(coords={"time": single["time"]}, attrs=_site(single))
    for alias, name in _CANONICAL.items():
        if alias not in single or name in found or single[alias].dims[:1] != ("time",):
            continue
        values = single[alias].values.astype(float)
        if (odd := np.isinf(values)).any():
            at = format_minute(single["time"].values[int(np.argmax(odd.reshape(len(odd), -1).any(axis=1)))])
            raise DataError(where, f"{alias} is infinite at {at}", fix="correct it, or mark it as missing (NaN)")
        values[values <= _FILL] = np.nan
        dims = single[alias].dims
        found[name] = (dims, convert_to_si(values, str(single[alias].attrs.get("units", "")), name, where))
        if dims == ("time",):
            found[f"{name}_qc"] = ("time", _flags(single, alias, values))
    return found


def _flags(file: xr.Dataset, alias: str, values: np.ndarray) -> np.ndarray:
    """Convert flags of PLUMBER2, which agree except for 101; values without a flag count as measured.

    A daily value has instead the share of its half-hours that were measured, and is filled if that is below three
    quarters. A variable whose note says that it is estimated was measured nowhere.
    """
    given = np.zeros(values.shape)
    if f"{alias}_qc" in file:
        given = np.nan_to_num(file[f"{alias}_qc"].values.astype(float), nan=0.0)
    elif f"{alias}{_SHARE}" in file:
        given = np.where(file[f"{alias}{_SHARE}"].values >= _MIN_SHARE, QC.MEASURED, QC.FILLED_MEDIUM)
    elif _ESTIMATED in str(file[alias].attrs.get("note", "")):
        given = np.full(values.shape, QC.ESTIMATED)
    given = np.where(given == _POST_PROCESSED, QC.ESTIMATED, given)
    return np.where(np.isfinite(values), given, QC.MISSING).astype(np.int8)


def _site(file: xr.Dataset) -> dict[str, Any]:
    """Read the site metadata of a file, without missing numbers."""
    found: dict[str, Any] = {}
    for key in _SITE_SCALARS:
        if key in file and np.isfinite(number := float(file[key].values.ravel()[0])) and number > -9000.0:
            single = file[key].dtype == np.float32  # single precision is good to 10 m
            found[key] = round(number, 4) if single else number
    if _CLASS in file:
        name = file[_CLASS].values.ravel()[0]
        found["igbp"] = (name.decode() if isinstance(name, bytes) else str(name)).strip().upper()
    if "site_code" in file.attrs:
        found["site"] = str(file.attrs["site_code"]).strip()
    if isinstance(offset := file.attrs.get("utc_offset_h"), int | float | np.number):
        found["utc_offset_hours"] = float(offset)
    return {key: value for key, value in found.items() if value not in ("", "NA", "NAN")}
