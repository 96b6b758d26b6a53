"""The tables of the Land Dynamics model, against what they are known to give."""

import dataclasses
import re

import jax.numpy as jnp
import numpy as np
import pytest

from bowen.land.land_classes import IGBP, SOIL, VEGETATION, parameters_for, root_depth
from bowen.land.quantities import declared_quantities
from bowen.land.surface_exchange import ground_insulation
from bowen.land.variables import initial_state
from tests import helpers

# root depth [m], then capacity [kg m-2] on soils C M F CM CF MF CMF P
ROOTS = {
    "BE": (1.304, 82.2, 172.1, 142.1, 127.8, 112.2, 156.5, 131.7, 580.3),
    "BD": (1.378, 86.8, 181.9, 150.2, 135.1, 118.5, 165.4, 139.2, 613.3),
    "BN": (1.606, 101.2, 212.0, 175.0, 157.4, 138.1, 192.7, 162.2, 714.6),
    "NE": (0.836, 52.7, 110.3, 91.1, 81.9, 71.9, 100.3, 84.4, 371.9),
    "ND": (0.836, 52.7, 110.3, 91.1, 81.9, 71.9, 100.3, 84.4, 371.9),
    "G": (0.978, 61.6, 129.1, 106.6, 95.9, 84.1, 117.4, 98.8, 435.4),
    "D": (1.000, 63.0, 132.0, 109.0, 98.0, 86.0, 120.0, 101.0, 445.0),
    "T": (0.492, 31.0, 64.9, 53.6, 48.2, 42.3, 59.0, 49.7, 218.8),
    "A": (0.392, 24.7, 51.8, 42.7, 38.4, 33.7, 47.1, 39.6, 174.5),
}
CONDUCTIVITY = dict(C=1.494, M=0.800, F=1.352, CM=1.178, CF=1.496, MF=1.058, CMF=1.218, P=0.390, I=1.76)


@pytest.mark.parametrize("name", ROOTS)
def test_roots_reach_as_deep_and_hold_as_much_as_is_known(name):
    depth, *capacities = ROOTS[name]
    np.testing.assert_allclose(root_depth(VEGETATION[name]), depth, atol=5.1e-4)
    soils = [SOIL[kind].available_water for kind in ("C", "M", "F", "CM", "CF", "MF", "CMF", "P")]
    np.testing.assert_allclose(root_depth(VEGETATION[name]) * np.array(soils), capacities, atol=0.051)


@pytest.mark.parametrize("soil", SOIL)
def test_soils_conduct_as_is_known(soil):
    np.testing.assert_allclose(parameters_for("GRA", soil).thermal_conductivity, CONDUCTIVITY[soil], atol=5.1e-4)


@pytest.mark.parametrize("igbp", IGBP)
@pytest.mark.parametrize("soil", SOIL)
def test_every_class_makes_a_site(igbp, soil):
    parameters = parameters_for(igbp, soil, reference_height=30.0, canopy_height=20.0)
    for name in declared_quantities(parameters):
        assert np.isfinite(getattr(parameters, name)), name
    assert parameters.root_zone_capacity > 0.0


def test_the_trees_of_savannas_have_deeper_roots_than_their_grass():
    grass, woody, savanna = (float(parameters_for(igbp, "M").root_zone_capacity) for igbp in ("GRA", "WSA", "SAV"))
    assert (woody, savanna) == pytest.approx((132.0 * 1.7, 132.0 * 2.4))
    assert grass < woody
    assert parameters_for("SAV").minimum_stomatal_resistance == parameters_for("GRA").minimum_stomatal_resistance


def test_crops_last_longer_than_a_week_without_rain():
    """The 39 cm of the Land Dynamics model hold 51 kg m-2 of medium soil."""
    assert float(parameters_for("CRO", "M").root_zone_capacity) == pytest.approx(132.0 * 1.5)
    assert root_depth(VEGETATION["A"]) == pytest.approx(0.39, abs=0.01)


def test_crops_transpire_more_freely_than_grass():
    crops, grass = (float(parameters_for(igbp).minimum_stomatal_resistance) for igbp in ("CRO", "GRA"))
    assert grass / crops == pytest.approx(33.0 / 20.0)


@pytest.mark.parametrize(("igbp", "resistance"), [("ENF", 0.8), ("DBF", 0.8), ("SAV", 0.3), ("GRA", 0.3), ("CRO", 0.3)])
def test_litter_insulates_the_floors_of_forests(igbp, resistance):
    """Beside what else does, and the snow."""
    site = dataclasses.replace(parameters_for(igbp), litter_insulation=0.5, ground_insulation=0.1, snow_insulation=0.01)
    state = dataclasses.replace(initial_state(site, jnp.asarray(280.0)), snow_water=20.0)
    assert float(ground_insulation(site, state)) == pytest.approx(resistance)


def test_defaults_are_grass_on_medium_soil():
    ours, default = parameters_for("GRA", "M"), type(parameters_for("GRA"))()
    for name in helpers.LEARNABLE:
        np.testing.assert_allclose(getattr(ours, name), getattr(default, name), rtol=1e-3, err_msg=name)


@pytest.mark.parametrize(
    ("reference", "canopy"), [(10.0, 0.0), (2.0, 0.0), (40.0, 35.0), (10.0, 18.0), (2.5, 0.1), (34.0, 22.0)]
)
@pytest.mark.parametrize("igbp", IGBP)
def test_the_measurements_lie_above_the_roughness(igbp, reference, canopy):
    parameters = parameters_for(igbp, reference_height=reference, canopy_height=canopy)
    height = parameters.reference_height - parameters.displacement_height
    assert height > 2.0 * parameters.roughness_length > 0.0


def test_an_unknown_class_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=re.escape("IGBP class 'NEF' is not known; there are ENF, EBF,")):
        parameters_for("NEF")
    with pytest.raises(ValueError, match=re.escape("soil class 'sand' is not known; there are C, M, F,")):
        parameters_for("ENF", "sand")


def test_what_has_no_class_of_its_own_is_as_rough_as_it_is_tall():
    savanna = parameters_for("WSA", "CM", reference_height=23.0, canopy_height=14.0)
    assert float(savanna.roughness_length) == pytest.approx(0.12 * 14.0)
    low_mast = parameters_for("WSA", "CM", reference_height=9.1, canopy_height=7.0)
    assert float(low_mast.roughness_length) == pytest.approx(0.12 * 7.0)
    assert float(parameters_for("WSA", "CM").roughness_length) == float(parameters_for("GRA", "CM").roughness_length)
    grass = parameters_for("GRA", "CM", reference_height=8.0, canopy_height=0.4)
    assert float(grass.roughness_length) == pytest.approx(0.07)
