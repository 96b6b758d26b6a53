"""Parameters of a land column: one declaration each."""

import equinox as eqx

from bowen.land.quantities import Scalar, quantity


class Parameters(eqx.Module):
    """Parameters of a land column. A value may be fixed, calibrated, or set by a network at every step.

    The defaults are a grassland on medium soil; `bowen.land.land_classes.parameters_for` gives those of a site.
    Corrections of a site's record or structure (precipitation factor, external supply, heat capacity of the vegetation)
    are booked in every budget and off by default, as are the responses of stomata, the shelter of snow, insulation and
    frost of the soil, and water's ways past a root zone that is not full. Parameters of the tower's
    measurement are `bowen.land.tower_observation.TowerParameters`.
    """

    minimum_stomatal_resistance: Scalar = quantity(
        "s m-1",
        "Bulk stomatal resistance of the unstressed surface",
        default=56.6,
        bounds=(10.0, 5000.0),
        log=True,
        role="dynamic",
    )
    priestley_taylor_coefficient: Scalar = quantity(
        "1",
        "Unstressed evaporation over that in equilibrium with the available energy, where energy limits it",
        default=1.26,
        bounds=(0.0, 2.0),
        role="dynamic",
    )
    light_half_saturation: Scalar = quantity(
        "W m-2",
        "Shortwave radiation at which half of the conductance is reached; 0: stomata do not close in the dark",
        default=0.0,
        bounds=(0.0, 600.0),
        role="dynamic",
        start=100.0,
    )
    vpd_sensitivity: Scalar = quantity(
        "1",
        "Gain of the resistance with the saturation deficit of the air [kg kg-1]; 0: stomata do not close in dry air",
        default=0.0,
        bounds=(0.0, 400.0),
        role="dynamic",
        start=40.0,
    )
    cold_sensitivity: Scalar = quantity(
        "K-2",
        "Loss of conductance with the square of the cold below 298 K; 0: stomata do not close in the cold",
        default=0.0,
        bounds=(0.0, 0.003),
        role="static",
        start=0.0008,
    )
    root_temperature_half_saturation: Scalar = quantity(
        "K",
        "Warmth of the roots above freezing at which half of the conductance is reached; 0: no response",
        default=0.0,
        bounds=(0.0, 10.0),
        role="static",
        start=1.0,
    )
    ground_conductance: Scalar = quantity(
        "m s-1",
        "Conductance for vapor of the ground between plants, which does not close; 0: plants alone",
        default=0.0,
        bounds=(0.0, 0.02),
        role="static",
        start=0.001,
    )
    snow_resistance: Scalar = quantity(
        "s m-1",
        "Resistance between snow and the air above the canopy",
        default=0.0,
        bounds=(0.0, 2000.0),
        role="static",
        start=50.0,
    )
    canopy_snow_resistance: Scalar = quantity(
        "m2 K W-1",
        "Resistance to heat between a canopy, which is the surface, and the snow below; 0: the surface is the snow's",
        default=0.0,
        bounds=(0.0, 0.5),
        role="static",
        start=0.107,
    )
    snow_water_holding_fraction: Scalar = quantity(
        "1",
        "Liquid water that snow holds, over its ice; 0: none",
        default=0.0,
        bounds=(0.0, 0.3),
        role="static",
        start=0.1,
    )
    roughness_length: Scalar = quantity(
        "m", "Roughness length of momentum", default=0.07, bounds=(1e-3, 3.0), log=True, role="dynamic"
    )
    roughness_ratio_log: Scalar = quantity(
        "1", "Logarithm of the roughness lengths of momentum over heat", default=2.0, bounds=(0.0, 10.0), role="dynamic"
    )
    ground_albedo: Scalar = quantity("1", "Snow-free albedo", default=0.182, bounds=(0.05, 0.45), role="dynamic")
    ground_albedo_cold_increase: Scalar = quantity("1", "Gain of the snow-free albedo in the cold", default=0.0)
    snow_albedo: Scalar = quantity("1", "Albedo of deep melting snow", default=0.65, bounds=(0.4, 0.75), role="static")
    snow_albedo_cold_increase: Scalar = quantity(
        "1", "Gain of the snow albedo in the cold", default=0.15, bounds=(0.0, 0.25), role="static"
    )
    emissivity: Scalar = quantity(
        "1", "Longwave emissivity", default=1.0, bounds=(0.9, 1.0), role="dynamic", start=0.98
    )
    snow_masking_mass: Scalar = quantity(
        "kg m-2",
        "Snow that hides half of the surface from the sun",
        default=5.0,
        bounds=(1.0, 150.0),
        log=True,
        role="dynamic",
    )
    thermal_conductivity: Scalar = quantity(
        "W m-1 K-1", "Thermal conductivity of the soil", default=0.8, bounds=(0.1, 3.0), log=True, role="dynamic"
    )
    ground_insulation: Scalar = quantity(
        "m2 K W-1",
        "Resistance to heat between the surface and the soil: litter, the air below a canopy",
        default=0.0,
        bounds=(0.0, 1.0),
        role="static",
        start=0.03,
    )
    litter_cover: Scalar = quantity("1", "Share of the ground under litter and moss; forests have it", default=0.0)
    litter_insulation: Scalar = quantity(
        "m2 K W-1",
        "Resistance to heat of litter and moss, where they cover the ground",
        default=0.0,
        bounds=(0.0, 1.0),
        role="static",
        start=0.5,
    )
    snow_insulation: Scalar = quantity(
        "m4 K W-1 kg-1",
        "Resistance to heat of the snow, by its water",
        default=0.0,
        bounds=(0.0, 0.1),
        role="static",
        start=0.03,
    )
    heat_capacity: Scalar = quantity(
        "J m-3 K-1", "Volumetric heat capacity of the soil", default=2.0e6, bounds=(0.8e6, 4.2e6), role="static"
    )
    freezable_water: Scalar = quantity(
        "kg m-3", "Soil water that may freeze; 0: none", default=0.0, bounds=(0.0, 500.0), role="static", start=200.0
    )
    interception_capacity: Scalar = quantity(
        "kg m-2", "Rain that leaves hold; 0: they hold none", default=0.0, bounds=(0.0, 5.0), role="static", start=1.0
    )
    root_zone_capacity: Scalar = quantity(
        "kg m-2",
        "Water the root zone can hold for plants",
        default=129.1,
        bounds=(20.0, 700.0),
        log=True,
        role="dynamic",
    )
    critical_saturation: Scalar = quantity(
        "1", "Share of capacity below which evaporation is stressed", default=0.75, bounds=(0.2, 1.0), role="dynamic"
    )
    initial_saturation: Scalar = quantity(
        "1",
        "Share of capacity that the root zone holds at the start of a record too short to spin up",
        default=0.5,
        bounds=(0.05, 1.0),
        role="static",
    )
    groundwater_residence_time: Scalar = quantity(
        "s",
        "Residence time of groundwater",
        default=60.0 * 86400.0,
        bounds=(86400.0, 2000.0 * 86400.0),
        log=True,
        role="dynamic",
    )
    quickflow_fraction: Scalar = quantity(
        "1",
        "Share of the overflow that takes the quick way to the river instead of groundwater",
        default=0.0,
        bounds=(0.0, 0.95),
        role="static",
        start=0.5,
    )
    quickflow_residence_time: Scalar = quantity(
        "s",
        "Residence time on the quick way to the river",
        default=86400.0,
        bounds=(0.1 * 86400.0, 10.0 * 86400.0),
        log=True,
        role="static",
    )
    infiltration_shape: Scalar = quantity(
        "1",
        "Shape of the distribution of capacity within the site (Xinanjiang's b); 0: it is the same everywhere",
        default=0.0,
        bounds=(0.0, 2.0),
        role="static",
        start=0.2,
    )
    max_drainage: Scalar = quantity(
        "kg m-2 s-1",
        "Leakage of a full root zone to groundwater",
        default=0.0,
        bounds=(0.0, 1e-4),
        role="static",
        start=1e-5,
    )
    drainage_exponent: Scalar = quantity("1", "Exponent of the saturation of the root zone in leakage", default=13.0)
    capillary_rise_rate: Scalar = quantity(
        "s-1", "Share of groundwater that dry roots lift", default=0.0, bounds=(0.0, 1e-6), role="static", start=1e-7
    )
    snow_threshold: Scalar = quantity(
        "K",
        "Air temperature at which half of the precipitation is snow",
        default=274.15,
        bounds=(272.75, 275.55),
        role="static",
    )
    precipitation_factor: Scalar = quantity(
        "1", "True over measured precipitation (undercatch)", default=1.0, bounds=(0.7, 2.0), log=True, role="static"
    )
    undercatch_exposure: Scalar = quantity(
        "1",
        "Undercatch of the gauge in the wind, over that of an unshielded gauge; 0: the gauge misses nothing",
        default=0.0,
        bounds=(0.0, 1.5),
        role="static",
        start=0.3,
    )
    external_supply: Scalar = quantity(
        "kg m-2 s-1",
        "Irrigation or deep water that would reach an empty root zone; less by need, none where plants lack nothing",
        default=0.0,
        bounds=(0.0, 2e-4),
        role="dynamic",
        start=5e-6,
    )
    lateral_inflow_fraction: Scalar = quantity(
        "1",
        "Water that deep water gains from ground upslope, a river or a canal, over precipitation; 0: none",
        default=0.0,
        bounds=(0.0, 2.0),
        role="static",
        start=0.3,
    )
    deep_water_release_rate: Scalar = quantity(
        "s-1",
        "Share of the deep water that reaches an empty root zone; less by need, none where plants lack nothing",
        default=0.0,
        bounds=(0.0, 1e-6),
        role="dynamic",
        start=1e-7,
    )
    deep_water_residence_time: Scalar = quantity(
        "s",
        "Residence time of deep water that no roots take up",
        default=365.0 * 86400.0,
        bounds=(30.0 * 86400.0, 2000.0 * 86400.0),
        log=True,
        role="static",
    )
    vegetation_heat_capacity: Scalar = quantity(
        "J m-2 K-1", "Heat capacity of the vegetation", default=0.0, bounds=(0.0, 8e4), role="static", start=1e4
    )
    snow_cover_mass: Scalar = quantity("kg m-2", "Snow that covers half of the ground for vapor", default=1.0)
    overflow_width: Scalar = quantity("kg m-2", "Half width of the rounding of overflow", default=0.5)
    gustiness: Scalar = quantity("m s-1", "Gustiness added in quadrature to the wind", default=1.0)
    critical_richardson: Scalar = quantity("1", "Richardson number at which turbulence ceases", default=2.0)
    reference_height: Scalar = quantity("m", "Height of the measurements of wind and air above ground", default=10.0)
    displacement_height: Scalar = quantity("m", "Zero-plane displacement", default=0.0)
