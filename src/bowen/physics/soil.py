"""Heat in the soil: conducted by backward Euler, eliminated down to one relation for the surface; and its freezing."""

from itertools import pairwise

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from bowen.numerics.array_types import Scalar
from bowen.physics.constants import FUSION, LAYER_THICKNESS

Layers = Float[Array, "*batch layer"]


def layer_capacities(heat_capacity: Scalar, vegetation: Scalar | float = 0.0) -> list[Scalar]:
    """Compute the heat capacity of each layer, top down.

    Args:
        heat_capacity: Volumetric heat capacity of the soil. [J m-3 K-1]
        vegetation: Heat capacity of the vegetation, which is as warm as the first layer. [J m-2 K-1]

    Returns:
        Heat capacity of the layers. [J m-2 K-1]

    Source:
        Milly & Shmakin (2002); GFDL LM2 layer thicknesses.
    """
    upper, *lower = (heat_capacity * thickness for thickness in LAYER_THICKNESS)
    return [upper + vegetation, *lower]


def layer_conductances(conductivity: Scalar, insulation: Scalar) -> list[Scalar]:
    """Compute the conductance between the centers of neighboring layers; the base is insulated.

    Args:
        conductivity: Thermal conductivity of the soil. [W m-1 K-1]
        insulation: Resistance of litter, air below a canopy and snow between the surface and the soil.
            [m2 K W-1]

    Returns:
        Conductance between layers k and k + 1, top down. [W m-2 K-1]

    Source:
        Series of two half layers; GFDL LM2. The insulation is ours, after the skin conductivity of TESSEL (Viterbo &
        Beljaars 1995, J. Climate 8, 2716-2748).
    """
    upper, *lower = (2.0 * conductivity / (above + below) for above, below in pairwise(LAYER_THICKNESS))
    return [upper / (1.0 + upper * insulation), *lower]


def eliminate(
    temperature: Layers, heat_capacity: Scalar, conductance: list[Scalar], dt: Scalar
) -> tuple[list[Scalar], list[Scalar]]:
    r"""Express the warming of each layer by that of the layer above: $\delta_k = a_k + b_k \delta_{k-1}$.

    Working with increments instead of temperatures keeps single precision sharp.

    Args:
        temperature: Temperature of the layers at the start of the step, from any zero. [K]
        heat_capacity: Volumetric heat capacity of the soil. [J m-3 K-1]
        conductance: Between the layers; see `layer_conductances`. [W m-2 K-1]
        dt: Step length. [s]

    Returns:
        The lists a [K] and b [1] for the layers below the first, top down.

    Source:
        Forward elimination of the tridiagonal system of backward Euler; GFDL LM2 `soil`.
    """
    capacity = layer_capacities(heat_capacity)
    below = len(capacity) - 1
    flux = [conductance[k] * (temperature[..., k] - temperature[..., k + 1]) for k in range(below)]
    warming, share = jnp.zeros_like(flux[0]), jnp.zeros_like(flux[0])
    offsets, slopes = [], []
    for k in range(below, 0, -1):
        under = conductance[k] if k < below else 0.0
        leaving = flux[k] if k < below else 0.0
        weight = capacity[k] / dt + conductance[k - 1] + under * (1.0 - share)
        warming = (flux[k - 1] - leaving + under * warming) / weight
        share = conductance[k - 1] / weight
        offsets.insert(0, warming)
        slopes.insert(0, share)
    return offsets, slopes


def substitute(surface_warming: Scalar, offsets: list[Scalar], slopes: list[Scalar]) -> Layers:
    """Compute the warming of every layer from that of the first.

    Args:
        surface_warming: Warming of the first layer over the step. [K]
        offsets: The a of `eliminate`. [K]
        slopes: The b of `eliminate`. [1]

    Returns:
        Warming of all layers. [K]

    Source:
        Back substitution of the tridiagonal system; GFDL LM2 `soil`.
    """
    warming = [surface_warming]
    for offset, slope in zip(offsets, slopes, strict=True):
        warming.append(offset + slope * warming[-1])
    return jnp.stack(warming, axis=-1)


def freezable_liquid(ice: Layers, freezable_water: Scalar) -> Layers:
    """Compute the liquid water that may freeze in each layer; none in the first, the skin that radiates.

    Args:
        ice: In the layers. [kg m-2]
        freezable_water: That freezes and thaws. [kg m-3]

    Returns:
        Liquid water that may freeze. [kg m-2]

    Source:
        Ours; in GFDL LM2 the first layer holds it too, but there nothing lies between that layer and the next.
    """
    return (
        jnp.stack([0.0 * freezable_water, *(freezable_water * depth for depth in LAYER_THICKNESS[1:])], axis=-1) - ice
    )


def freezing(warmth: Layers, ice: Layers, freezable_water: Scalar, capacity: Layers) -> Layers:
    r"""Compute the water that freezes to keep layers at the melting point, $-C T / L_f$ at most; thaw is negative.

    Args:
        warmth: Temperature of the layers above the melting point. [K]
        ice: In the layers, at most what can freeze. [kg m-2]
        freezable_water: That freezes and thaws. [kg m-3]
        capacity: Heat capacity of the layers, the first with the vegetation. [J m-2 K-1]

    Returns:
        Gain of ice. [kg m-2]

    Source:
        GFDL LM2, whose option it is.
    """
    return jnp.clip(-capacity * warmth / FUSION, -ice, freezable_liquid(ice, freezable_water))


def freeze(warmth: Layers, ice: Layers, freezable_water: Scalar, capacity: Layers) -> tuple[Layers, Layers]:
    """Freeze water and melt ice as far as the heat of each layer allows, once heat has been conducted.

    No water moves. A layer warms by the heat of the ice that was added after rounding, so that nothing is lost in
    single precision.

    Args:
        warmth: See `freezing`. [K]
        ice: See `freezing`. [kg m-2]
        freezable_water: See `freezing`. [kg m-3]
        capacity: See `freezing`. [J m-2 K-1]

    Returns:
        Warming by the heat of fusion [K] and ice [kg m-2].

    Source:
        GFDL LM2, whose option it is.
    """
    frozen = ice + freezing(warmth, ice, freezable_water, capacity)
    return FUSION * (frozen - ice) / capacity, frozen


def warm(temperature: Layers, conducted: Layers, fused: Layers, capacity: Layers) -> Layers:
    """Warm the layers; the heat that rounding would lose in the others goes to the second layer.

    In single precision a layer of 1 m that is 70 K from the melting point may lose 16 J m-2. The second layer takes
    them because it has little heat capacity and because snow may hold the first at the melting point.

    Args:
        temperature: Temperature of the layers above the melting point. [K]
        conducted: Warming by conduction. [K]
        fused: Warming by freezing, after conduction; the first layer is not warmed above the melting point by it. [K]
        capacity: Heat capacity of the layers, the first with the vegetation. [J m-2 K-1]

    Returns:
        Temperature of the layers above the melting point. [K]

    Source:
        Ours; the lost part of a sum as in Kahan (1965), Commun. ACM 8, 40.
    """
    warmed = temperature + conducted
    skin = warmed[..., 0] + jnp.minimum(fused[..., 0], jnp.maximum(-warmed[..., 0], 0.0))
    rounded = jnp.concatenate([skin[..., None], warmed[..., 1:] + fused[..., 1:]], axis=-1)
    lost = capacity * (conducted + fused - (rounded - temperature))
    others = jax.lax.stop_gradient(lost[..., 0] + lost[..., 2:].sum(axis=-1)) / capacity[..., 1]
    second = temperature[..., 1] + (conducted[..., 1] + fused[..., 1] + others)
    return jnp.concatenate([rounded[..., :1], second[..., None], rounded[..., 2:]], axis=-1)
