"""Physical constants, SI. The set is GFDL's (LM2 and FMS), for comparability with the Land Dynamics model."""

GRAVITY = 9.80  # m s-2
VON_KARMAN = 0.40  # 1
GAS_CONSTANT_DRY_AIR = 287.04  # J kg-1 K-1
GAS_CONSTANT_VAPOR = 461.50  # J kg-1 K-1
VAPOR_RATIO = GAS_CONSTANT_DRY_AIR / GAS_CONSTANT_VAPOR  # 1, molar mass of water over that of dry air
HEAT_CAPACITY_AIR = 3.5 * GAS_CONSTANT_DRY_AIR  # J kg-1 K-1, at constant pressure
FUSION = 3.34e5  # J kg-1
STEFAN_BOLTZMANN = 5.6734e-8  # W m-2 K-4
MELTING_POINT = 273.16  # K
ICE_POINT = 273.15  # K, zero of the Celsius scale

LAYER_THICKNESS = (0.005, 0.045, 0.10, 0.35, 1.00)  # m, top down; the first layer is the radiating surface
LAYER_DEPTH = tuple(sum(LAYER_THICKNESS[:k]) + LAYER_THICKNESS[k] / 2 for k in range(len(LAYER_THICKNESS)))  # m
