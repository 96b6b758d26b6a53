"""Probes of energy and water on the files of `bowen simulate`, after those of HydroTuring for hydrological models."""

import dataclasses
import functools

import numpy as np
import pytest
import xarray as xr

import bowen as bw
from bowen.data import to_alma, write_netcdf
from bowen.land.step import ImplicitStep
from bowen.physics import thermodynamics
from bowen.physics.constants import FUSION, LAYER_THICKNESS, STEFAN_BOLTZMANN
from tests.trust import made_simulations

pytestmark = pytest.mark.physics
# The untrained hybrid, which is the physics in another loop, has one fast case.
FILES = pytest.mark.parametrize(
    ("kind", "climate"),
    [
        pytest.param(kind, climate, marks=() if kind == "Process" or climate == "mild" else pytest.mark.slow)
        for kind in ("Process", "Hybrid")
        for climate in made_simulations.CLIMATES
    ],
)
PRECISIONS = pytest.mark.parametrize("precision", ["float64", "float32"])
TOLERANCE = {"float64": (1e-9, 1e-11), "float32": (0.02, 5e-4)}  # W m-2, kg m-2 in a step; single precision rounds
STORES = ("SWE", "RootMoist", "CanopInt", "groundwater", "deep_water", "quickflow_water", "snow_liquid", "soil_ice")


@dataclasses.dataclass(frozen=True)
class Written:
    """A file, the weather it is of, the heat capacity of the layers, and what rounding may leave of a budget."""

    file: xr.Dataset
    weather: xr.Dataset
    capacity: np.ndarray  # J m-2 K-1
    energy: float  # W m-2
    water: float  # kg m-2

    @property
    def step(self):
        return self.weather.attrs["timestep_s"]

    def gain(self, name):
        """Change of a store over each step but the first."""
        return np.diff(self.file[name].values, axis=0)

    def mass(self, *names):
        """Sum of fluxes in a step, as mass; the first step left out."""
        return self.step * sum(self.file[name].values for name in names)[1:]

    def before(self, name):
        return self.file[name].values[:-1]


def written(weather, precision, path, **options):
    simulation, land = made_simulations.simulate(weather, precision=precision, **options)
    with xr.open_dataset(write_netcdf(to_alma(simulation), path)) as opened:
        file = opened.load()
    layers = float(land.heat_capacity) * np.asarray(LAYER_THICKNESS)
    layers[0] += float(land.vegetation_heat_capacity)
    return Written(file, weather, layers, *TOLERANCE[precision])


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Files by kind, climate and precision, each made once."""

    @functools.cache
    def make(kind, climate, precision, **options):
        path = tmp_path_factory.mktemp("probes") / "simulation.nc"
        return written(made_simulations.record(climate), precision, path, kind=kind, **options)

    return make


def latent_heat_is_that_of_the_vapor(w):
    heat = thermodynamics.vaporization_heat(w.weather.air_temperature.values) * w.file.Evap.values
    np.testing.assert_allclose(w.file.Qle.values, heat, rtol=1e-5 if w.energy > 1e-3 else 1e-12, atol=w.energy)


def evaporation_is_the_sum_of_its_parts(w):
    f = w.file
    parts = f.root_evaporation + f.SubSnow + f.ECanop
    assert w.step * np.abs(f.Evap - parts).max() < w.water


def energy_closes_by_day_and_by_night(w):
    f = w.file
    left = (f.Rnet - f.Qle - f.Qh - f.Qg - f.Qf).values
    is_day = w.weather.shortwave_down.values > 0.0
    assert is_day.any() and not is_day.all()
    for part in (is_day, ~is_day):
        assert np.abs(left[part]).max() < w.energy
        assert np.abs(left[part].mean()) < 0.1 * w.energy


def ground_heat_is_stored_in_the_soil(w):
    heat = w.gain("SoilTemp") @ w.capacity - FUSION * w.gain("soil_ice").sum(axis=1)
    assert np.abs(heat / w.step - w.file.Qg.values[1:]).max() < w.energy


def heat_of_fusion_is_that_of_the_melt(w):
    f = w.file
    np.testing.assert_allclose(f.Qf, FUSION * (f.SubSnow + f.Qsm - f.Qfz), rtol=1e-5, atol=w.energy)
    ice = w.gain("SWE") - w.gain("snow_liquid")
    assert np.abs(ice - w.mass("Snowf", "Qfz") + w.mass("SubSnow", "Qsm")).max() < w.water


def precipitation_is_rain_and_snow(w):
    f, measured, air = w.file, w.weather.precipitation.values, w.weather.air_temperature.values
    assert w.step * np.abs(f.Rainf + f.Snowf - measured).max() < w.water
    assert float(min(f.Rainf.min(), f.Snowf.min())) >= -w.water / w.step
    assert (f.Snowf.values[air > 280.0] <= 1e-4 * measured[air > 280.0] + 1e-12).all()
    assert (f.Rainf.values[air < 268.0] <= 1e-4 * measured[air < 268.0] + 1e-12).all()


def water_is_stored_or_leaves(w):
    stored = sum(w.gain(name) for name in STORES[:6])
    fluxes = w.mass("Rainf", "Snowf", "external_supply", "lateral_inflow") - w.mass("Evap", "runoff")
    assert np.abs(stored - fluxes).max() < w.water
    assert w.step * np.abs(w.file.runoff - w.file.Qs - w.file.Qsb).max() < w.water


def no_store_is_negative(w):
    for name in STORES:
        assert float(w.file[name].min()) >= -1e-6
    assert float((w.file.SWE - w.file.snow_liquid).min()) >= -1e-4


def nothing_evaporates_without_water(w):
    assert (w.mass("SubSnow") <= w.before("SWE") + w.mass("Snowf") + w.water).all()
    assert (w.mass("ECanop") <= w.before("CanopInt") + w.mass("Rainf") + w.water).all()
    reached = w.mass("Rainf", "Qsm", "external_supply", "deep_water_release", "capillary_rise")
    assert (w.mass("root_evaporation") <= w.before("RootMoist") + reached + w.water).all()
    lost = w.mass("Qsm", "SubSnow")  # frost, which is negative sublimation, may melt in its step
    assert (lost <= w.before("SWE") + w.mass("Snowf", "Qfz") + w.water).all()


PROBES = (
    latent_heat_is_that_of_the_vapor,
    evaporation_is_the_sum_of_its_parts,
    energy_closes_by_day_and_by_night,
    ground_heat_is_stored_in_the_soil,
    heat_of_fusion_is_that_of_the_melt,
    precipitation_is_rain_and_snow,
    water_is_stored_or_leaves,
    no_store_is_negative,
    nothing_evaporates_without_water,
)
BREAKS = {  # a fault in one variable that each probe has to find
    latent_heat_is_that_of_the_vapor: ("Qle", lambda x: 1.01 * x),
    evaporation_is_the_sum_of_its_parts: ("ECanop", lambda x: x + 1e-6),
    energy_closes_by_day_and_by_night: ("Qh", lambda x: x + 0.05 * (np.arange(x.size) == 17)),
    ground_heat_is_stored_in_the_soil: ("SoilTemp", lambda x: x + 1e-4 * (np.arange(len(x)) == 17)[:, None]),
    heat_of_fusion_is_that_of_the_melt: ("Qsm", lambda x: 1.01 * x),
    precipitation_is_rain_and_snow: ("Rainf", lambda x: x + 1e-6),
    water_is_stored_or_leaves: ("RootMoist", lambda x: x + 1e-3 * (np.arange(x.size) == 17)),
    no_store_is_negative: ("snow_liquid", lambda x: x - 1e-3),
    nothing_evaporates_without_water: ("SWE", lambda x: 1e-3 * x),
}
named = pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.__name__)


@named
@FILES
@PRECISIONS
def test_a_file_passes(simulated, kind, climate, precision, probe):
    probe(simulated(kind, climate, precision))


@named
def test_a_probe_finds_a_fault(simulated, probe):
    sound = simulated("Process", "snowy", "float32")
    name, fault = BREAKS[probe]
    broken = sound.file.assign({name: (sound.file[name].dims, fault(sound.file[name].values))})
    with pytest.raises(AssertionError):
        probe(dataclasses.replace(sound, file=broken))


def test_the_climates_have_what_the_probes_look_at(simulated):
    snowy, wet, dry = (simulated("Process", climate, "float64").file for climate in ("snowy", "wet", "dry"))
    assert float(snowy.Qsm.max()) > 0.0 and float(snowy.Qfz.max()) > 0.0 and float(snowy.SWE.max()) > 5.0
    assert float(wet.ECanop.max()) > 0.0 and float(wet.Qsb.max()) > 0.0
    assert float(dry.Rainf.max()) == 0.0 and float(dry.Evap.sum()) > 0.0


@PRECISIONS
def test_net_radiation_is_what_comes_in_less_what_goes_out(simulated, precision):
    """With one sub-step the file has the temperature that emits, but for the heat that refreezing gives afterwards."""
    w = simulated("Process", "mild", precision, solver=ImplicitStep(substeps=1), processes=())
    f, weather = w.file, w.weather
    absorbed = (1.0 - f.Albedo) * weather.shortwave_down.values + weather.longwave_down.values
    left = f.Rnet - absorbed + STEFAN_BOLTZMANN * f.AvgSurfT**4
    assert np.abs(left).max() < 0.1  # W m-2: the emission is linear over the last Newton step
    assert np.abs(left - 0.1 * f.Albedo * weather.shortwave_down.values).max() > 1.0


MORE = {
    "light": ("shortwave_down", lambda x: x + 100.0),
    "longwave": ("longwave_down", lambda x: x + 30.0),
    "warmth": ("air_temperature", lambda x: x + 2.0),
    "rain": ("precipitation", lambda x: x + 2e-4),
    "moist air": ("specific_humidity", lambda x: 1.1 * x),
}


@pytest.fixture(scope="module")
def steered(tmp_path_factory):
    """The last step of files whose weather differs at that step only; at noon or at midnight."""

    @functools.cache
    def last(kind, climate, hour, more=None):
        weather = made_simulations.record(climate).isel(time=slice(0, (made_simulations.DAYS - 1) * 48 + 2 * hour))
        if more:
            name, change = MORE[more]
            weather[name] = weather[name].copy(data=weather[name].values.copy())
            weather[name][-1] = change(float(weather[name][-1]))
        path = tmp_path_factory.mktemp("steered") / "simulation.nc"
        file = written(weather, "float64", path, kind=kind).file
        return {str(name): float(file[name].values[-1]) for name in file if file[name].ndim == 1}

    return last


@pytest.mark.parametrize("hour", [12, 24])
@pytest.mark.parametrize(
    ("kind", "climate"),
    [
        *(("Process", climate) for climate in ("mild", "snowy")),
        *(pytest.param("Hybrid", climate, marks=pytest.mark.slow) for climate in ("mild", "snowy")),
    ],
)
def test_responses_are_monotone(steered, kind, climate, hour):
    base = steered(kind, climate, hour)

    def rises(more, *names):
        return sum(steered(kind, climate, hour, more)[name] - base[name] for name in names)

    for more in ("light", "longwave"):
        assert rises(more, "Qh", "Qle", "Qg", "Qf") > 0.0
        assert rises(more, "AvgSurfT") >= 0.0 and rises(more, "Qh") >= -1e-9 and rises(more, "Qle") >= -1e-9
    assert rises("warmth", "Qh") < 0.0 and rises("warmth", "AvgSurfT") >= 0.0
    assert rises("rain", "RootMoist", "SWE", "CanopInt", "groundwater", "quickflow_water", "Qsb") > 0.0
    assert rises("moist air", "Evap") < 0.0


@pytest.fixture(scope="module")
def of_tower(shared_data, tmp_path_factory):
    """Files of the first 120 days of a tower, each made once."""

    @functools.cache
    def make(site, precision):
        weather = bw.fill_forcing(bw.read(max(shared_data.glob(f"towers/{site}_*_Met.nc"))))
        path = tmp_path_factory.mktemp(site) / "simulation.nc"
        return written(weather.isel(time=slice(0, 120 * 48)), precision, path)

    return make


@named
@PRECISIONS
@pytest.mark.parametrize("site", ["BE-Vie", "SE-Svb", "US-SRM"])
def test_the_file_of_a_tower_passes(of_tower, site, precision, probe):
    probe(of_tower(site, precision))
