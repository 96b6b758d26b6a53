"""Parameters of the Land Dynamics model by vegetation and soil class, and the class of a site.

Values: GFDL LM2, the operational descendant of Milly & Shmakin (2002).
"""

import math
from typing import Any, NamedTuple

from bowen.land.parameters import Parameters

CRITICAL_ROOT_DENSITY = 0.125  # kg m-3


class VegetationClass(NamedTuple):
    """Vegetation class of the Land Dynamics model."""

    minimum_stomatal_resistance: float  # s m-1
    root_scale_depth: float  # m, over which root biomass falls by e
    root_biomass: float  # kg m-2
    roughness_length: float  # m
    roughness_ratio_log: float  # 1
    snow_masking_mass: float  # kg m-2
    ground_albedo: float  # 1
    ground_albedo_cold_increase: float = 0.0  # 1
    snow_albedo: float = 0.65  # 1
    snow_albedo_cold_increase: float = 0.15  # 1


class SoilProperties(NamedTuple):
    """Soil class of the Land Dynamics model."""

    available_water: float  # kg m-3
    heat_capacity: float  # J m-3 K-1
    diffusivity: float  # m2 s-1


VEGETATION = {
    "BE": VegetationClass(43.6, 0.26, 4.9, 2.65, 2.0, 60.0, 0.149),
    "BD": VegetationClass(131.0, 0.29, 4.2, 0.90, 2.0, 10.0, 0.130),
    "BN": VegetationClass(87.1, 0.35, 4.3, 1.2, 2.0, 25.0, 0.132),
    "NE": VegetationClass(69.7, 0.17, 2.9, 0.90, 2.0, 40.0, 0.126),
    "ND": VegetationClass(218.0, 0.17, 2.9, 0.80, 2.0, 40.0, 0.143),
    "G": VegetationClass(56.6, 0.26, 1.4, 0.07, 2.0, 5.0, 0.182),
    "D": VegetationClass(0.01, 0.35, 0.762, 0.01, 2.0, 5.0, 0.333),
    "T": VegetationClass(170.0, 0.11, 1.2, 0.07, 2.0, 5.0, 0.139),
    "A": VegetationClass(56.6, 0.25, 0.15, 0.40, 2.0, 5.0, 0.160),
    "I": VegetationClass(0.01, 0.0, 0.0, 0.01, 2.0, 5.0, 0.65, 0.15),
    "L": VegetationClass(0.01, 1.0, 1.0, 1.4e-4, 0.25, 5.0, 0.06, 0.0, 0.06, 0.0),
    "TV": VegetationClass(67.0, 0.35, 0.362, 1.0, 2.0, 100.0, 0.12, 0.0, 0.45, 0.15),
}

SOIL = {
    "C": SoilProperties(63.0, 1.8e6, 8.3e-7),
    "M": SoilProperties(132.0, 2.0e6, 4.0e-7),
    "F": SoilProperties(109.0, 2.6e6, 5.2e-7),
    "CM": SoilProperties(98.0, 1.9e6, 6.2e-7),
    "CF": SoilProperties(86.0, 2.2e6, 6.8e-7),
    "MF": SoilProperties(120.0, 2.3e6, 4.6e-7),
    "CMF": SoilProperties(101.0, 2.1e6, 5.8e-7),
    "P": SoilProperties(445.0, 3.0e6, 1.3e-7),
    "I": SoilProperties(1000.0, 1.6e6, 11e-7),
}

# The nearest class of the Land Dynamics model; shrubs and savannas have none and take grass. Two classes have deeper
# roots: savannas, whose trees outlast a dry season, and crops, whose 39 cm in the Land Dynamics model hold the water
# of a week or two. Their depth holds 99 % of the roots, by Table 2 of Zeng (2001).
ROOT_DEPTH = {"WSA": 1.7, "SAV": 2.4, "CRO": 1.5, "CVM": 1.5}  # m
# Shrubs, savannas and wetlands are taller than the grass whose class they take, and as rough as they are tall: the
# roughness length over the height of the canopy of grass and shrubs in CLM5 (Lawrence et al. 2018, Technical Note,
# table 2.5.1). Where the height is not known they are as rough as grass.
ROUGHNESS_OVER_HEIGHT = {"CSH": 0.12, "OSH": 0.12, "WSA": 0.12, "SAV": 0.12, "WET": 0.12}  # 1
# Crops have wider stomata than LaD's class for them, which has those of grass: the largest surface conductance is about
# 33 mm s-1 of crops and 20 of natural vegetation, grass and trees alike (Kelliher et al. 1995).
CONDUCTANCE_FACTOR = {"CRO": 1.65, "CVM": 1.65}  # 1, over that of the class
# Litter and moss cover the floors of forests. Learning of their insulation begins at .5 m2 K W-1: 5 cm of .1 W m-1 K-1,
# round numbers of ours, the latter between dry organic matter and its solids (.05 and .25; Lawrence & Slater 2008).
FORESTS = ("ENF", "EBF", "DNF", "DBF", "MF")
IGBP = {
    "ENF": "NE", "EBF": "BE", "DNF": "ND", "DBF": "BD", "MF": "BN", "CSH": "G", "OSH": "G", "WSA": "G", "SAV": "G",
    "GRA": "G", "WET": "G", "CRO": "A", "CVM": "A", "URB": "D", "BSV": "D", "SNO": "I", "WAT": "L",
}  # fmt: skip


def root_depth(vegetation: VegetationClass) -> float:
    """Compute the depth at which root density falls to the critical one. [m]."""
    scale, biomass = vegetation.root_scale_depth, vegetation.root_biomass
    if scale == 0.0:
        return 0.01
    return max(0.01, scale * math.log(biomass / (scale * CRITICAL_ROOT_DENSITY)))


def parameters_for(
    igbp: str, soil: str = "CMF", *, reference_height: float = 10.0, canopy_height: float = 0.0
) -> Parameters:
    """Make the parameters of a site from its vegetation and soil class and its heights.

    The zero-plane displacement is 0.67 of the canopy height, kept below 0.8 of the height of measurement. The roughness
    length is that of the class, or by canopy height where the class has none of its own; it is kept below a fifth of
    the canopy height and a quarter of the height left above displacement.

    Args:
        igbp: IGBP class, such as "ENF". [1]
        soil: Soil class of the Land Dynamics model, such as "CMF" (coarse, medium and fine mixed). [1]
        reference_height: Height of the measurements of wind and air above ground. [m]
        canopy_height: Height of the canopy; 0 where it is not known. [m]

    Raises:
        ValueError: A class is unknown; the message lists the known ones.
    """
    if igbp not in IGBP:
        raise ValueError(f"IGBP class {igbp!r} is not known; there are {', '.join(IGBP)}.")
    if soil not in SOIL:
        raise ValueError(f"soil class {soil!r} is not known; there are {', '.join(SOIL)}.")
    plants, ground = VEGETATION[IGBP[igbp]], SOIL[soil]
    displacement = min(0.67 * canopy_height, 0.8 * reference_height)
    roughness = ROUGHNESS_OVER_HEIGHT.get(igbp, 0.0) * canopy_height or plants.roughness_length
    roughness = min(roughness, (reference_height - displacement) / 4.0)
    values: dict[str, Any] = dict(
        minimum_stomatal_resistance=plants.minimum_stomatal_resistance / CONDUCTANCE_FACTOR.get(igbp, 1.0),
        roughness_length=min(roughness, 0.2 * canopy_height) if canopy_height > 0.0 else roughness,
        roughness_ratio_log=plants.roughness_ratio_log,
        ground_albedo=plants.ground_albedo,
        ground_albedo_cold_increase=plants.ground_albedo_cold_increase,
        snow_albedo=plants.snow_albedo,
        snow_albedo_cold_increase=plants.snow_albedo_cold_increase,
        snow_masking_mass=plants.snow_masking_mass,
        thermal_conductivity=ground.heat_capacity * ground.diffusivity,
        heat_capacity=ground.heat_capacity,
        litter_cover=float(igbp in FORESTS),
        root_zone_capacity=ground.available_water * ROOT_DEPTH.get(igbp, root_depth(plants)),
        reference_height=reference_height,
        displacement_height=displacement,
    )
    return Parameters(**values)
