"""ALMA names: the convention of PLUMBER2, of model intercomparisons, and of the files that bowen writes."""

import datetime
import re
from collections.abc import Container, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr

from bowen.data.quality_flags import has_known_flag, trust_flags
from bowen.data.schema import ALMA_NAME, QC, SCHEMA, TARGETS, TURBULENT, WEATHER, add_attributes
from bowen.data.time_axis import format_minute
from bowen.data.units import convert_to_si
from bowen.errors import DataError

_NAMES = {v.name: tuple(dict.fromkeys(filter(None, (v.alma, *v.aliases, v.name)))) for v in SCHEMA.values()}
_CANONICAL = {alias: name for name, aliases in _NAMES.items() for alias in aliases}
_PARTS = {"precipitation": ("Rainf", "Snowf")}  # whose sum is the variable, as a gauge measures it
_FLAGGED_AS = {"latent_heat_corrected": "latent_heat", "sensible_heat_corrected": "sensible_heat"}
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
_OF_THE_FILE = ("Conventions", "title", "featureType", "history", "bowen_version")
_BOUNDS, _MADE_BY = "time_bnds", "bowen "
_NEEDED = ("shortwave_down", "air_temperature", "wind_speed", "precipitation")  # others can be derived
_HUMIDITY = ("vapor_pressure_deficit", "relative_humidity", "vapor_pressure", "specific_humidity")
_FILL = -9990.0  # and below; some files use -9999 without declaring it
_POST_PROCESSED = 101  # PLUMBER2: replaced by another source, e.g. carbon dioxide of Mauna Loa
_SHARE, _MIN_SHARE = "_qcfrac", 0.75  # of the half-hours of a day that were measured, as in FLUXNET's daily files
_ESTIMATED = "estimated"  # in the attribute `note` of a variable
_PLACES = ("x", "y", "z", "lat", "lon", "latitude", "longitude", "site", "station", "tower", "location", "land", "cell")
_SITE_NAMES = {  # names of site metadata in files, in addition to ours
    "latitude": ("lat",),
    "longitude": ("lon",),
    "elevation": ("altitude",),
    "site": ("site_code",),
    "igbp": (_CLASS,),
    "utc_offset_hours": ("utc_offset_h",),
}
_UTC = re.compile(r"\b(gmt|utc)$|:\d\d(\.\d*)?\s*(z|\+00:?00)$", re.IGNORECASE)  # end of a unit or zone of time


def to_alma(dataset: xr.Dataset) -> xr.Dataset:
    """Rename a record or a simulation to ALMA names, as a CF dataset that `read_plumber2` reads back.

    A simulated variable names its own, in the attribute `alma_name`; variables ALMA has no name for keep ours. The
    site's position and heights become scalar variables, and the interval of each step its bounds.

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
    today = datetime.datetime.now(datetime.UTC).date()
    made_by = f"{_MADE_BY}{version('bowen')}"
    file.attrs = {
        "Conventions": "CF-1.11",
        "title": " ".join(str(dataset.attrs[key]) for key in ("site", "model", "source") if key in dataset.attrs),
        "featureType": "timeSeries",
        "history": f"{today} written by {made_by}",
        "source": f"{made_by}, {dataset.attrs.get('model', 'record')}",
        "bowen_version": version("bowen"),
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
        stamps, step = file["time"].values, np.timedelta64(int(dataset.attrs.get("timestep_s", 0)), "s")
        if step and (np.diff(stamps) == step).all():  # means of days keep the step of their record
            file["time"].attrs["bounds"] = _BOUNDS
            file[_BOUNDS] = (("time", "bounds"), np.stack([stamps, stamps + step], -1))
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
    dataset = dataset.drop_vars([*scalars, _BOUNDS], errors="ignore")
    dataset.attrs = {
        ours.get(key, key): value
        for key, value in attributes.items()
        if key not in _OF_THE_FILE and not (key == "source" and str(value).startswith(_MADE_BY))
    }
    return dataset


def find_variables(file: xr.Dataset) -> dict[str, tuple[str, ...]]:
    """Find the series of a file under their ALMA or canonical names.

    Args:
        file: A dataset; if it has a dimension `time`, only what varies along it is a series.

    Returns:
        For each canonical name the variable of the file; precipitation may be the sum of two, rain and snow.
    """
    series = {str(name) for name, v in file.variables.items() if "time" in v.dims or "time" not in file.dims}
    found = {name: tuple(alias for alias in aliases if alias in series)[:1] for name, aliases in _NAMES.items()}
    for name, parts in _PARTS.items():
        if not found[name] and parts[0] in series:
            found[name] = tuple(part for part in parts if part in series)
    return {name: names for name, names in found.items() if names}


def list_missing_weather(known: Container[str]) -> list[str]:
    """List the variables that a record cannot do without and that are not among the known ones."""
    missing = [name for name in _NEEDED if name not in known]
    return missing if any(name in known for name in _HUMIDITY) else [*missing, _HUMIDITY[0]]


def from_alma(file: xr.Dataset, where: str) -> xr.Dataset:
    """Convert the known variables of a file to canonical names, SI units and flags, and drop the rest.

    Flags are in `NAME_qc`, by any name of the variable. A value whose flag is missing or unknown counts as filled, and
    so do the values of a turbulent flux without flags where the other flux has them. Other values without flags count
    as measured, which a note says.

    Args:
        file: The dataset read by xarray, with ALMA or canonical names.
        where: The name of the file, for messages.

    Returns:
        A dataset over `time` with a `_qc` for each variable; its attributes are the site metadata in the file, and
        `assumptions`, sentences about flags and stamps.

    Raises:
        DataError: The file has more than one place, or no stamps; or a variable has more dimensions, a value that is
            not a finite number, or a unit that cannot be converted.
    """
    file = with_time(file, where)
    if places := {str(size): file.sizes[size] for size in file.sizes if size in _PLACES and file.sizes[size] > 1}:
        raise DataError(
            where, f"has more than one place ({places})", fix="select one tower with xarray's `.isel` first"
        )
    single = file.squeeze([size for size in file.sizes if size != "time" and file.sizes[size] == 1], drop=True)
    attributes, notes = find_site(file), []
    if is_in_utc(file["time"]):
        notes.append("The stamps are in UTC, as the file says.")
        attributes["utc_offset_hours"] = 0.0
    found = xr.Dataset(coords={"time": single["time"].values}, attrs=attributes)
    variables = find_variables(single)
    flags = {name: _given_flags(single, name, parts) for name, parts in variables.items()}
    flagged = [name for name in TURBULENT if flags.get(name) is not None]
    for name, parts in variables.items():
        values = np.sum([_si_values(single[part], name, where) for part in parts], axis=0)
        found[name] = single[parts[0]].dims, values
        if values.ndim == 1:
            given = flags[name]
            if given is None:
                given = np.full(values.shape, QC.FILLED_POOR if name in TURBULENT and flagged else QC.MEASURED)
            found[f"{name}_qc"] = "time", trust_flags(given, values)
            if unknown := int((np.isfinite(values) & ~has_known_flag(given)).sum()):
                notes.append(f"{unknown} values of {parts[0]} without a known flag count as filled.")
    found.attrs = {**attributes, "assumptions": "\n".join([*notes, *_describe_absent_flags(variables, flags)])}
    return found


def pair_series(dataset: xr.Dataset) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Pair the weather and targets of a dataset of `from_alma` with their flags, for `build_record`."""
    return {
        name: (dataset[name].values, dataset[f"{name}_qc"].values) for name in (*WEATHER, *TARGETS) if name in dataset
    }


def with_time(file: xr.Dataset, where: str) -> xr.Dataset:
    """Name the dimension of the stamps `time`, whatever name it or the variable of the stamps has.

    Raises:
        DataError: There are no stamps, or one is missing.
    """
    dated = [str(name) for name, v in file.variables.items() if v.ndim == 1 and np.issubdtype(v.dtype, np.datetime64)]
    named = [name for name in dated if name.lower() == "time"] or dated
    if len(named) != 1:
        raise DataError(
            where,
            "has no `time` that can be read as dates of the standard calendar",
            details={"dates": ", ".join(dated) or "none"},
            fix="name the stamps `time`, as dates (datetime64), in a file with the unit `seconds since ...`",
        )
    if np.isnat(file[named[0]].values).any():
        raise DataError(where, "has rows without a stamp", fix="remove these rows, or fill in their stamps")
    dimension = file[named[0]].dims[0]
    if taken := ({"time", named[0]} - {dimension}) & set(map(str, file.dims)):
        raise DataError(
            where,
            f"`{named[0]}` is along `{dimension}`, and other variables are along `{min(taken)}`",
            fix="give all variables one dimension of time",
        )
    if named[0] != dimension:
        file = file.swap_dims({dimension: named[0]})
    return file if named[0] == "time" else file.drop_vars("time", errors="ignore").rename({named[0]: "time"})


def is_in_utc(time: xr.DataArray) -> bool:
    """Check that the attributes of the stamps say that they are in UTC, as in `time:coordinate = "GMT"`."""
    said = {**time.encoding, **time.attrs}
    return any(_UTC.search(str(said.get(key, "")).strip()) for key in ("coordinate", "time_zone", "timezone", "units"))


def find_site(file: xr.Dataset) -> dict[str, Any]:
    """Find the site metadata among the variables and attributes of a file, without missing numbers."""
    found: dict[str, Any] = {}
    for key in (*_SITE_SCALARS, *_SITE_ATTRIBUTES, "igbp"):
        names = (*_SITE_NAMES.get(key, ()), key)
        variable = next((file[name] for name in names if name in file.variables and file[name].size == 1), None)
        value = (
            variable.values.ravel()[0]
            if variable is not None
            else next((file.attrs[name] for name in names if name in file.attrs), "")
        )
        if key in ("site", "igbp"):
            text = (value.decode() if isinstance(value, bytes) else value if isinstance(value, str) else "").strip()
            if text.upper() not in ("", "NA", "NAN"):
                found[key] = text
        elif (number := _number(value)) is not None:
            single = variable is not None and variable.dtype == np.float32  # single precision is good to 10 m
            found[key] = round(number, 4) if single else number
    return found


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) and number > -9000.0 else None


def _si_values(variable: xr.DataArray, name: str, where: str) -> np.ndarray:
    """Convert a variable to SI; what a file marks as missing becomes NaN."""
    if variable.dims != ("time",) and name in (*WEATHER, *TARGETS):
        raise DataError(
            where,
            f"{variable.name} has the dimensions {', '.join(map(str, variable.dims))} instead of time alone",
            fix="select one of each other dimension with xarray's `.isel` first",
        )
    if variable.dtype.kind not in "fiub":
        raise DataError(where, f"{variable.name} holds no numbers", fix="correct it, or rename it")
    values = variable.values.astype(float)
    if (odd := np.isinf(values)).any():
        at = format_minute(variable["time"].values[int(np.argmax(odd.reshape(len(odd), -1).any(axis=1)))])
        raise DataError(where, f"{variable.name} is infinite at {at}", fix="correct it, or mark it as missing (NaN)")
    values[values <= _FILL] = np.nan
    return convert_to_si(values, str(variable.attrs.get("units", "")), name, where)


def _given_flags(file: xr.Dataset, name: str, parts: tuple[str, ...]) -> np.ndarray | None:
    """Return the flags of a variable as the file gives them, those of PLUMBER2 translated; None if it has none.

    A daily value has instead the share of its half-hours that were measured, and is filled if that is below three
    quarters. A variable whose note says that it is estimated was measured nowhere.
    """
    flags = [flags for part in parts if (flags := _flags_of_part(file, name, part)) is not None]
    return np.max(flags, axis=0) if len(flags) == len(parts) else None


def _flags_of_part(file: xr.Dataset, name: str, part: str) -> np.ndarray | None:
    present = {str(known).lower(): known for known in file.variables if file[known].dims == ("time",)}
    others = (*_NAMES[name], *_PARTS.get(name, ()), *_NAMES.get(_FLAGGED_AS.get(name, ""), ()))
    aliases = (part, *(other for other in others if other not in file.variables or name in _FLAGGED_AS))
    if flags := next((present[f"{alias}_qc".lower()] for alias in aliases if f"{alias}_qc".lower() in present), None):
        given = file[flags].values.astype(float)
        return np.where(given == _POST_PROCESSED, QC.ESTIMATED, given)
    if f"{part}{_SHARE}" in file:
        return np.where(file[f"{part}{_SHARE}"].values >= _MIN_SHARE, QC.MEASURED, QC.FILLED_MEDIUM)
    if _ESTIMATED in str(file[part].attrs.get("note", "")):
        return np.full(file.sizes["time"], QC.ESTIMATED)
    return None


def _describe_absent_flags(variables: Mapping[str, tuple[str, ...]], flags: Mapping[str, Any]) -> list[str]:
    """Note which variables have no flags, and whether their values count as measured."""
    flagged = [variables[name][0] for name in TURBULENT if flags.get(name) is not None]
    absent = {
        name: parts[0]
        for name, parts in variables.items()
        if flags[name] is None and name != "leaf_area_index" and not name.endswith("_uncertainty")
    }
    doubted = [absent.pop(name) for name in TURBULENT if flagged and name in absent]
    notes = [f"{alias} has no flags, unlike {flagged[0]}, and counts as filled." for alias in doubted]
    return [*notes, f"Without flags, and counted as measured: {', '.join(absent.values())}."] if absent else notes
