"""The catalogue of names: what each quantity is called, measured in and bounded by, in every convention we meet."""

import difflib
import enum
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import xarray as xr

from bowen.errors import DataError


class QC(enum.IntEnum):
    """Where a value comes from. Only `MEASURED` steps train or score a model."""

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
    """One quantity: its name here, its CF description, its names elsewhere, and the values nature allows.

    `alma` is the name written to files, `aliases` other names found in ALMA-like files; `valid_range` is in `units`;
    `method` is CF's cell method over time, which for states, at the end of the step, is "point". The names in text
    tables are in `formats`.
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
_DAILY = (  # what comes once a day and in no other record
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
WATER = ("runoff", "snow_water")  # what they may be trained on besides, always by the day
OBSERVED = "_observed"  # after the name of a simulated flux: as the tower would report it
FORCING = (  # what no record can do without, besides one of RADIATION
    "shortwave_down", "air_temperature", "specific_humidity", "vapor_pressure_deficit", "air_pressure", "wind_speed",
    "precipitation",
)  # fmt: skip
RADIATION = ("longwave_down", "net_radiation")

# Attributes of a simulated variable, by which files and budgets know it without knowing the model.
ALMA_NAME = "alma_name"  # its name in files
WATER_BUDGET = "water_budget"  # "store", "source" or "sink"
ENERGY_BUDGET = "energy_budget"  # "source" or "sink"


def attributes(name: str) -> dict[str, Any]:
    """What a file says about the variable `name`, or about the flag variable `<name>_qc`.

    Args:
        name: A canonical name, with or without `_qc`.

    Returns:
        CF attributes: units, long_name, cell_methods and, where CF has one, standard_name; for a flag
        flag_values and flag_meanings.

    Raises:
        DataError: The catalogue has no such name.
    """
    if name.endswith("_qc"):
        return {
            "long_name": f"Origin of {name.removesuffix('_qc')}",
            "flag_values": [int(code) for code in QC],
            "flag_meanings": " ".join(code.name.lower() for code in QC),
        }
    if name not in SCHEMA:
        raise DataError(f"`{name}` is not in the catalogue of variables. {nearest([name], SCHEMA)}")
    variable = SCHEMA[name]
    standard_name = {"standard_name": variable.standard_name} if variable.standard_name else {}
    methods = {"cell_methods": f"time: {variable.method}"}
    return {"units": variable.units, "long_name": variable.long_name, **methods, **standard_name}


def describe(dataset: xr.Dataset) -> xr.Dataset:
    """The same dataset with the catalogue's attributes on each variable it knows; what was said already stays."""
    described = dataset.copy()
    for name, variable in described.variables.items():
        if str(name).removesuffix("_qc") in SCHEMA:
            variable.attrs = {**attributes(str(name)), **variable.attrs}
    return described


def nearest(wanted: Iterable[str], present: Iterable[str]) -> str:
    """A sentence naming what is there and sounds like what was wanted, or everything if nothing does.

    Args:
        wanted: The names looked for.
        present: The names there are.

    Returns:
        "Nearest here: a, b." or "Here: a, b, c.", shortened to twelve names.
    """
    names = [str(name) for name in present]
    close = [match for name in wanted for match in difflib.get_close_matches(name, names, n=3, cutoff=0.5)]
    listed = list(dict.fromkeys(close)) or names
    more = ", …" if len(listed) > 12 else ""
    return f"{'Nearest here' if close else 'Here'}: {', '.join(listed[:12]) or 'nothing'}{more}."
