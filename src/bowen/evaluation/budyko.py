"""Long-term water balance of a site by a model, compared with the Budyko curve."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bowen.data.checks.water_balance import LATENT_HEAT_OF_VAPORIZATION
from bowen.physics.constants import HEAT_CAPACITY_AIR, ICE_POINT, VAPOR_RATIO
from bowen.physics.thermodynamics import saturation_vapor_pressure

MEAN_YEAR = 365.2425  # d
DAY_LENGTH = 86400.0  # s
PRIESTLEY_TAYLOR_COEFFICIENT = 1.26
STORAGE_TOLERANCE = 0.02  # of precipitation, for water that came out of the stores


def potential_evapotranspiration(simulation: xr.Dataset) -> np.ndarray:
    """Compute evaporation from a wet surface by daily net radiation; zero on days that lose energy. [kg m-2 s-1].

    Args:
        simulation: Days of a physical model with air temperature and pressure, as `simulate_days` gives them.

    Source:
        Priestley and Taylor (1972), Mon. Weather Rev. 100, 81-92, with a coefficient of 1.26; Allen et al. (1998),
        eq. 13, for the slope of saturation vapor pressure.
    """
    celsius = simulation.air_temperature.values - ICE_POINT
    slope = 4098.0 * saturation_vapor_pressure(simulation.air_temperature.values) / (celsius + 237.3) ** 2
    psychrometric = HEAT_CAPACITY_AIR * simulation.air_pressure.values / (VAPOR_RATIO * LATENT_HEAT_OF_VAPORIZATION)
    available = simulation.net_radiation.values - simulation.ground_heat.values
    return np.maximum(
        PRIESTLEY_TAYLOR_COEFFICIENT * slope / (slope + psychrometric) * available / LATENT_HEAT_OF_VAPORIZATION, 0.0
    )


def budyko_curve(aridity: float | np.ndarray) -> float | np.ndarray:
    """Compute the evaporative index at an aridity index by the Budyko curve. [1].

    Args:
        aridity: Potential evapotranspiration over precipitation. [1]

    Source:
        Budyko (1974), Climate and Life, p. 325: the geometric mean of the curves of Schreiber and Ol'dekop.
    """
    return np.sqrt(aridity * np.tanh(1.0 / aridity) * (1.0 - np.exp(-aridity)))


def long_term_water_balance(
    simulation: xr.Dataset, reference: xr.Dataset, observed: xr.Dataset
) -> dict[str, Any] | None:
    """Compute the long-term water balance of a site by a model, over whole years.

    Args:
        simulation: Days of the model; without `evapotranspiration` it is computed from the latent heat flux.
        reference: Days of a physical model at the same site, whose net radiation gives potential evaporation.
        observed: Days of observations; `runoff`, if present, is averaged over the days that have it.

    Returns:
        `years`; `precipitation`, `evapotranspiration`, `potential_evaporation`, `runoff` and `observed_runoff`
        [kg m-2 per year]; `aridity`, `evaporative_index`, `budyko` (the evaporative index of the Budyko curve), and
        `within`: True if evapotranspiration exceeds neither precipitation nor potential evaporation. None without a
        whole year.
    """
    years = int(simulation.sizes["time"] / MEAN_YEAR + 0.01)
    if years < 1:
        return None
    days = slice(0, round(years * MEAN_YEAR))
    whole, sun = simulation.isel(time=days), potential_evapotranspiration(reference.isel(time=days))
    annual = DAY_LENGTH * MEAN_YEAR
    rain = annual * float(whole.precipitation.mean())
    if "evapotranspiration" in whole:
        vapor = annual * float(whole.evapotranspiration.mean())
    else:
        vapor = annual * float(whole.latent_heat.mean()) / LATENT_HEAT_OF_VAPORIZATION
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
        "within": bool(vapor <= (1.0 + STORAGE_TOLERANCE) * rain and vapor <= possible),
    }
