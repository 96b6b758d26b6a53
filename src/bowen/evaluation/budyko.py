"""The long-term water balance of a place: where its rain goes by a model, and whether the sun could evaporate that."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bowen.data.checks.water_balance import VAPORIZATION
from bowen.physics.constants import HEAT_CAPACITY_AIR, ICE_POINT, VAPOR_RATIO
from bowen.physics.thermodynamics import saturation_vapor_pressure

YEAR = 365.2425  # d
DAY = 86400.0  # s
PRIESTLEY_TAYLOR = 1.26
TOLERANCE = 0.02  # of precipitation, by which water may have come out of store


def potential_evaporation(simulation: xr.Dataset) -> np.ndarray:
    """Evaporation that the net radiation of a day allows from a wet surface. [kg m-2 s-1].

    Args:
        simulation: Days of a physical model with air temperature and pressure, as `simulate_days` gives them.

    Source:
        Priestley and Taylor (1972), Mon. Weather Rev. 100, 81-92, with a coefficient of 1.26; slope of saturation of
        Allen et al. (1998), eq. 13. Days that lose energy count as zero.
    """
    celsius = simulation.air_temperature.values - ICE_POINT
    slope = 4098.0 * saturation_vapor_pressure(simulation.air_temperature.values) / (celsius + 237.3) ** 2
    psychrometric = HEAT_CAPACITY_AIR * simulation.air_pressure.values / (VAPOR_RATIO * VAPORIZATION)
    available = simulation.net_radiation.values - simulation.ground_heat.values
    return np.maximum(PRIESTLEY_TAYLOR * slope / (slope + psychrometric) * available / VAPORIZATION, 0.0)


def budyko_curve(aridity: float | np.ndarray) -> float | np.ndarray:
    """Share of precipitation that evaporates where potential evaporation is `aridity` times it. [1].

    Source:
        Budyko (1974), Climate and Life, p. 325: the geometric mean of the curves of Schreiber and Ol'dekop.
    """
    return np.sqrt(aridity * np.tanh(1.0 / aridity) * (1.0 - np.exp(-aridity)))


def long_term_water_balance(
    simulation: xr.Dataset, reference: xr.Dataset, observed: xr.Dataset
) -> dict[str, Any] | None:
    """The long-term water balance of a place by a model, over whole years.

    Args:
        simulation: Days of the model; one without `evapotranspiration` evaporates what its latent heat takes.
        reference: Days of a physical model at the same place, whose net radiation makes the potential evaporation.
        observed: Days of what was observed; `runoff`, if it is there, is summed over the days that have it.

    Returns:
        `years`; `precipitation`, `evapotranspiration`, `potential_evaporation`, `runoff` and `observed_runoff`
        [kg m-2 per year]; `aridity`, `evaporative_index`, `budyko` (what the curve of Budyko gives for that), and
        `within`: whether no more evaporates than fell, and than the sun allows. None without a whole year.
    """
    years = int(simulation.sizes["time"] / YEAR + 0.01)
    if years < 1:
        return None
    days = slice(0, round(years * YEAR))
    whole, sun = simulation.isel(time=days), potential_evaporation(reference.isel(time=days))
    annual = DAY * YEAR
    rain = annual * float(whole.precipitation.mean())
    if "evapotranspiration" in whole:
        vapor = annual * float(whole.evapotranspiration.mean())
    else:
        vapor = annual * float(whole.latent_heat.mean()) / VAPORIZATION
    possible = annual * float(sun.mean())
    flow = observed.runoff.reindex(time=whole.time) if "runoff" in observed else np.array(np.nan)
    aridity = possible / rain
    return {
        "years": years,
        "precipitation": rain,
        "evapotranspiration": vapor,
        "potential_evaporation": possible,
        "runoff": annual * float(whole.runoff.mean()) if "runoff" in whole else np.nan,
        "observed_runoff": annual * float(pd.Series(np.atleast_1d(flow)).mean()),
        "aridity": aridity,
        "evaporative_index": vapor / rain,
        "budyko": float(budyko_curve(aridity)),
        "within": bool(vapor <= (1.0 + TOLERANCE) * rain and vapor <= possible),
    }
