"""The mean of several simulations of one record."""

import numpy as np
import xarray as xr

from bowen.evaluation.ensemble import ensemble_mean
from bowen.evaluation.scores import as_tower_reports


def member(latent_heat, runoff, trained, **more):
    values = {
        name: ("time", np.full(3, value))
        for name, value in ({"latent_heat": latent_heat, "runoff": runoff} | more).items()
    }
    attributes = {"model": "one", "trained_here": trained, "site": "XX-One"}
    return xr.Dataset(values, {"time": np.arange("2001-01-01", "2001-01-04", dtype="datetime64[D]")}, attributes)


def test_fluxes_are_those_that_each_tower_would_measure():
    one, other = member(100.0, 2.0, 0, latent_heat_observed=50.0), member(30.0, 4.0, 1, drainage=1.0)
    both = ensemble_mean([one, other], "both")
    np.testing.assert_array_equal(as_tower_reports(both, "latent_heat"), 40.0)
    np.testing.assert_array_equal(both.runoff, 3.0)
    assert set(both.data_vars) == {"latent_heat", "runoff"}  # what only one of them tells has no mean
    assert both.attrs == {"model": "both", "trained_here": 1, "site": "XX-One"}
    assert (both.time == one.time).all()


def test_the_mean_of_one_is_what_it_would_measure():
    one = member(100.0, 2.0, 1, latent_heat_observed=70.0)
    np.testing.assert_array_equal(ensemble_mean([one], "one").latent_heat, as_tower_reports(one, "latent_heat"))
