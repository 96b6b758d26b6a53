"""The long-term water balance, against numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bowen.evaluation.budyko import (
    DAY_LENGTH,
    MEAN_YEAR,
    budyko_curve,
    long_term_water_balance,
    potential_evapotranspiration,
)

MM_A_YEAR = 1.0 / (DAY_LENGTH * MEAN_YEAR)  # kg m-2 s-1


def days(count=800, **variables):
    time = pd.date_range("2000-01-01", periods=count)
    whole = {"air_temperature": 293.15, "air_pressure": 101325.0, "net_radiation": 110.0, "ground_heat": 10.0}
    values = {
        name: ("time", np.broadcast_to(value, count).astype(float)) for name, value in (whole | variables).items()
    }
    return xr.Dataset(values, {"time": time})


def test_potential_evaporation_of_priestley_and_taylor():
    # slope 144.6 Pa K-1 at 20 degC, psychrometric constant 66.8 Pa K-1: 1.26 * 0.684 * 100 W m-2 = 86.2 W m-2
    np.testing.assert_allclose(2.45e6 * potential_evapotranspiration(days()), 86.2, rtol=5e-3)
    assert (potential_evapotranspiration(days(net_radiation=-30.0)) == 0.0).all()


def test_the_curve_of_budyko():
    assert budyko_curve(1e-3) == pytest.approx(1e-3, rel=1e-2), "energy limits where it is wet"
    assert budyko_curve(50.0) == pytest.approx(1.0, rel=1e-2), "water limits where it is dry"
    assert budyko_curve(1.0) == pytest.approx(np.sqrt(np.tanh(1.0) * (1.0 - np.exp(-1.0))))


def test_a_balance_over_whole_years():
    wet_end = np.where(np.arange(800) < 730, 1.0, 100.0) * 1000.0 * MM_A_YEAR
    simulation = days(precipitation=wet_end, evapotranspiration=600.0 * MM_A_YEAR, runoff=400.0 * MM_A_YEAR)
    flow = days(runoff=np.where(np.arange(800) % 2, 500.0 * MM_A_YEAR, np.nan))
    found = long_term_water_balance(simulation, days(), flow)
    assert found["years"] == 2 and found["precipitation"] == pytest.approx(1000.0)
    assert found["runoff"] == pytest.approx(400.0) and found["observed_runoff"] == pytest.approx(500.0)
    assert found["evaporative_index"] == pytest.approx(0.6) and found["within"]
    assert found["aridity"] == pytest.approx(86.2 / 2.45e6 / MM_A_YEAR / 1000.0, rel=5e-3)
    assert long_term_water_balance(simulation.isel(time=slice(0, 300)), days(), flow) is None


@pytest.mark.parametrize("rain", [500.0, 5000.0])
def test_more_vapor_than_rain_or_than_the_sun_allows_is_told(rain):
    simulation = days(precipitation=rain * MM_A_YEAR, latent_heat=1200.0 * MM_A_YEAR * 2.45e6)
    found = long_term_water_balance(simulation, days(), xr.Dataset())
    assert found["evapotranspiration"] == pytest.approx(1200.0) and not found["within"]
    assert np.isnan(found["runoff"]) and np.isnan(found["observed_runoff"])
