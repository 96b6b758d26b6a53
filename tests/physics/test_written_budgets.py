"""The budgets close from the variables of the file that `bowen simulate` writes."""

import dataclasses
import itertools

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from bowen.data import to_alma, write_netcdf
from bowen.data.readers.read import read_simulation
from bowen.evaluation.scores import audit_budgets
from bowen.land.quantities import declared_quantities
from bowen.models.base import Process
from bowen.training.arrays import to_dataset
from tests import helpers

pytestmark = pytest.mark.physics
PROCESSES = ("interception_capacity", "freezable_water", "snow_water_holding_fraction", "litter_insulation")
COMBINATIONS = [tuple(itertools.compress(PROCESSES, on)) for on in itertools.product((False, True), repeat=4)]
PRECISIONS = pytest.mark.parametrize(
    ("dtype", "most_energy", "most_water"), [(jnp.float64, 1e-9, 1e-14), (jnp.float32, 1e-2, 1e-6)]
)
SITES = pytest.mark.parametrize("site", ["BE-Vie", "SE-Svb", "US-SRM"])
YEAR = 365 * helpers.DAY


def written(path, parameters, processes, inputs, dtype):
    """A file of the physics with some processes switched on, each as it is where its learning begins."""
    table = declared_quantities(parameters)
    switched = {name: jnp.asarray(table[name]["start"]) for name in processes}
    parameters = dataclasses.replace(parameters, litter_cover=jnp.asarray(1.0), **switched)
    run = Process(parameters), helpers.beginning(parameters, inputs), inputs
    model, state, inputs = run if dtype == jnp.float64 else helpers.in_single_precision(run)
    record = helpers.run(model, state, inputs, lambda record: record)
    assert record.fluxes.latent_heat.dtype == dtype
    time = np.datetime64("2001-01-01", "ns") + np.arange(len(inputs.features)) * np.timedelta64(1800, "s")
    like = xr.Dataset(coords={"time": time}, attrs={"site": "XX-Tst", "timestep_s": 1800.0})
    return write_netcdf(to_alma(to_dataset(model, record, like, "LaD")), path)


def require_closed_budgets(path, most_energy, most_water):
    """Energy at every step, water at every step but the first, before which the file holds no stores."""
    with xr.open_dataset(path) as file:
        energy = file.Rnet - file.Qle - file.Qh - file.Qg - file.Qf
        stores = [variable for variable in file.values() if variable.attrs.get("water_budget") == "store"]
        assert {"SWE", "RootMoist", "groundwater", "quickflow_water", "CanopInt"} <= {store.name for store in stores}
        gain = sum(np.diff(store.values) for store in stores) / 1800.0
        supply = file.Rainf + file.Snowf + file.external_supply + file.lateral_inflow
        water = gain - (supply - file.Evap - file.runoff).values[1:]
        assert np.abs(energy).max() < most_energy
        assert np.abs(water).max() < most_water
    found = audit_budgets(read_simulation(path))
    np.testing.assert_allclose(found["energy_closure_max"], np.abs(energy).max(), atol=1e-12)


@PRECISIONS
@SITES
def test_budgets_close_in_the_file_of_a_year(shared_data, tmp_path, site, dtype, most_energy, most_water):
    parameters, inputs = helpers.tower(shared_data, site)
    inputs = inputs.window(0, min(YEAR, len(inputs.features)))
    for processes in ((), PROCESSES):
        path = written(tmp_path / "simulation.nc", parameters, processes, inputs, dtype)
        require_closed_budgets(path, most_energy, most_water)


@pytest.mark.slow
@PRECISIONS
@SITES
def test_budgets_close_with_each_process_on_and_off(shared_data, tmp_path, site, dtype, most_energy, most_water):
    """From January into May, when snow melts and soil thaws."""
    parameters, inputs = helpers.tower(shared_data, site)
    inputs = helpers.days(inputs, 0, 150)
    for processes in COMBINATIONS:
        path = written(tmp_path / "simulation.nc", parameters, processes, inputs, dtype)
        require_closed_budgets(path, most_energy, most_water)


@pytest.mark.slow
@PRECISIONS
def test_budgets_close_in_the_file_of_eight_years(shared_data, tmp_path, dtype, most_energy, most_water):
    parameters, inputs = helpers.tower(shared_data, "US-SRM")
    path = written(tmp_path / "simulation.nc", parameters, PROCESSES, inputs, dtype)
    require_closed_budgets(path, most_energy, most_water)
