"""Catalog of variables: name, unit, valid range and description of each, in all supported conventions."""

import difflib
import enum
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import xarray as xr

from bowen.errors import DataError


class QC(enum.IntEnum):
    """Origin of a value; only `MEASURED` steps train or score a model."""

    MEASURED = 0
    FILLED_GOOD = 1
    FILLED_MEDIUM = 2
    FILLED_POOR = 3
    REANALYSIS = 4
    ESTIMATED = 5
    INTERPOLATED = 6
    MEAN_DIURNAL_COURSE = 7
    MISSING = 9


@dataclass(frozen=True)
class Variable:
    """One variable: its canonical name, CF description, names in other conventions, and valid range.

    `alma` is the name written to files, `aliases` are other names in ALMA-like files; `valid_range` is in `units`;
    `method` is CF's cell method over time, which is "point" for states (at the end of the step). The column names of
    text tables are in `formats`.
    """

    name: str
    units: str
    long_name: str
    standard_name: str = ""
    alma: str = ""
    aliases: tuple[str, ...] = ()
    valid_range: tuple[float, float] = (-math.inf, math.inf)
    method: str = "mean"


_WEATHER = (
    Variable(
        "shortwave_down",
        "W m-2",
        "Incoming shortwave radiation",
        "surface_downwelling_shortwave_flux_in_air",
        alma="SWdown",
        valid_range=(-20.0, 1500.0),
    ),
    Variable(
        "longwave_down",
        "W m-2",
        "Incoming longwave radiation",
        "surface_downwelling_longwave_flux_in_air",
        alma="LWdown",
        valid_range=(30.0, 700.0),
    ),
    Variable(
        "net_radiation",
        "W m-2",
        "Net radiation, positive downward",
        "surface_net_downward_radiative_flux",
        alma="Rnet",
        valid_range=(-400.0, 1400.0),
    ),
    Variable(
        "air_temperature",
        "K",
        "Air temperature at the reference height",
        "air_temperature",
        alma="Tair",
        valid_range=(183.0, 333.0),
    ),
    Variable(
        "specific_humidity",
        "kg kg-1",
        "Specific humidity of the air at the reference height",
        "specific_humidity",
        alma="Qair",
        valid_range=(0.0, 0.06),
    ),
    Variable(
        "vapor_pressure_deficit",
        "Pa",
        "Vapor pressure deficit of the air at the reference height",
        "water_vapor_saturation_deficit_in_air",
        alma="VPD",
        valid_range=(-50.0, 15000.0),
    ),
    Variable(
        "vapor_pressure",
        "Pa",
        "Vapor pressure of the air at the reference height",
        "water_vapor_partial_pressure_in_air",
        valid_range=(0.0, 9000.0),
    ),
    Variable(
        "relative_humidity",
        "1",
        "Relative humidity of the air at the reference height",
        "relative_humidity",
        alma="RH",
        valid_range=(0.0, 1.1),
    ),
    Variable(
        "air_pressure",
        "Pa",
        "Air pressure at the surface",
        "surface_air_pressure",
        alma="PSurf",
        aliases=("Psurf",),
        valid_range=(4.0e4, 1.1e5),
    ),
    Variable(
        "wind_speed", "m s-1", "Wind speed at the reference height", "wind_speed", alma="Wind", valid_range=(0.0, 75.0)
    ),
    Variable(
        "precipitation",
        "kg m-2 s-1",
        "Precipitation as measured",
        "precipitation_flux",
        alma="Precip",
        valid_range=(-1e-9, 0.15),
    ),
    Variable(
        "leaf_area_index",
        "m2 m-2",
        "Leaf area index",
        "leaf_area_index",
        alma="LAI",
        valid_range=(0.0, 20.0),
    ),
)

_TARGETS = (
    Variable(
        "latent_heat",
        "W m-2",
        "Latent heat flux, positive upward",
        "surface_upward_latent_heat_flux",
        alma="Qle",
        valid_range=(-1000.0, 2000.0),
    ),
    Variable(
        "sensible_heat",
        "W m-2",
        "Sensible heat flux, positive upward",
        "surface_upward_sensible_heat_flux",
        alma="Qh",
        valid_range=(-1000.0, 2000.0),
    ),
    Variable(
        "ground_heat",
        "W m-2",
        "Heat flux into the ground, positive downward",
        "downward_heat_flux_at_ground_level_in_soil",
        alma="Qg",
        valid_range=(-1000.0, 1500.0),
    ),
    Variable(
        "latent_heat_corrected",
        "W m-2",
        "Latent heat flux corrected for energy balance closure",
        "surface_upward_latent_heat_flux",
        alma="Qle_cor",
        valid_range=(-5000.0, 5000.0),
    ),
    Variable(
        "sensible_heat_corrected",
        "W m-2",
        "Sensible heat flux corrected for energy balance closure",
        "surface_upward_sensible_heat_flux",
        alma="Qh_cor",
        valid_range=(-5000.0, 5000.0),
    ),
    Variable("latent_heat_raw", "W m-2", "Latent heat flux before its energy balance was closed"),
    Variable("sensible_heat_raw", "W m-2", "Sensible heat flux before its energy balance was closed"),
    Variable("latent_heat_uncertainty", "W m-2", "Random uncertainty of the latent heat flux", alma="Qle_uc"),
    Variable("sensible_heat_uncertainty", "W m-2", "Random uncertainty of the sensible heat flux", alma="Qh_uc"),
)

_EXTREME: dict[str, Any] = {"standard_name": "air_temperature", "valid_range": (183.0, 333.0)}
_DAILY = (  # variables of daily records only
    Variable("air_temperature_min", "K", "Lowest of the air", aliases=("Tair_min",), method="minimum", **_EXTREME),
    Variable("air_temperature_max", "K", "Highest of the air", aliases=("Tair_max",), method="maximum", **_EXTREME),
)

_LAND = (  # what models simulate, and towers, basins or daily products observe
    Variable(
        "evapotranspiration",
        "kg m-2 s-1",
        "Evapotranspiration and sublimation",
        "water_evapotranspiration_flux",
        "Evap",
        ("ET",),
    ),
    Variable("runoff", "kg m-2 s-1", "Outflow to the river", "runoff_flux"),
    Variable("soil_temperature", "K", "Soil temperature by layer", "soil_temperature", "SoilTemp", method="point"),
    Variable("snow_water", "kg m-2", "Snow water equivalent", "surface_snow_amount", "SWE", method="point"),
)

SCHEMA = {variable.name: variable for variable in (*_WEATHER, *_TARGETS, *_DAILY, *_LAND)}
WEATHER = tuple(variable.name for variable in _WEATHER)
TARGETS = tuple(variable.name for variable in _TARGETS)
TURBULENT = ("latent_heat", "sensible_heat")  # what models are trained on and scored by
WATER = ("runoff", "snow_water")  # further training targets, always as daily means
OBSERVED = "_observed"  # suffix of a simulated flux as the tower would report it
FORCING = (  # required in every record, in addition to one of RADIATION
    "shortwave_down", "air_temperature", "specific_humidity", "vapor_pressure_deficit", "air_pressure", "wind_speed",
    "precipitation",
)  # fmt: skip
RADIATION = ("longwave_down", "net_radiation")

# Attributes of a simulated variable, by which files and budgets know it without knowing the model.
ALMA_NAME = "alma_name"  # its name in files
WATER_BUDGET = "water_budget"  # "store", "source" or "sink"
ENERGY_BUDGET = "energy_budget"  # "source" or "sink"


def get_attributes(name: str) -> dict[str, Any]:
    """Return the CF attributes of the variable `name`, or of the flag variable `<name>_qc`.

    Args:
        name: A canonical name, with or without `_qc`.

    Returns:
        CF attributes: units, long_name, cell_methods and, where CF has one, standard_name; for a flag
        flag_values and flag_meanings.

    Raises:
        DataError: The catalog has no such name.
    """
    if name.endswith("_qc"):
        return {
            "long_name": f"Origin of {name.removesuffix('_qc')}",
            "flag_values": [int(code) for code in QC],
            "flag_meanings": " ".join(code.name.lower() for code in QC),
        }
    if name not in SCHEMA:
        raise DataError("catalog of variables", f"has no `{name}`", details=find_nearest([name], SCHEMA))
    variable = SCHEMA[name]
    standard_name = {"standard_name": variable.standard_name} if variable.standard_name else {}
    methods = {"cell_methods": f"time: {variable.method}"}
    return {"units": variable.units, "long_name": variable.long_name, **methods, **standard_name}


def add_attributes(dataset: xr.Dataset) -> xr.Dataset:
    """Add the attributes of the catalog to each known variable; existing attributes stay."""
    described = dataset.copy()
    for name, variable in described.variables.items():
        if str(name).removesuffix("_qc") in SCHEMA:
            variable.attrs = {**get_attributes(str(name)), **variable.attrs}
    return described


def find_nearest(wanted: Iterable[str], present: Iterable[str]) -> Mapping[str, str]:
    """Find the available names that resemble the wanted ones, or list all if none does.

    Args:
        wanted: The names looked for.
        present: The available names.

    Returns:
        {"nearest": "a, b"} or {"available": "a, b, c"}, up to twelve names: the details of an error.
    """
    names = [str(name) for name in present]
    close = [match for name in wanted for match in difflib.get_close_matches(name, names, n=3, cutoff=0.5)]
    listed = list(dict.fromkeys(close)) or names
    more = ", …" if len(listed) > 12 else ""
    return {"nearest" if close else "available": f"{', '.join(listed[:12]) or 'none'}{more}"}
