"""Water in leaves and soil: interception, supply and drainage of the root zone, and the reservoirs of runoff."""

import jax.numpy as jnp

from bowen.numerics.array_types import Scalar

MIN_ROOM = 1e-6  # of the capacity; below it, all runoff is overflow


def external_supply(storage: Scalar, critical: Scalar, most: Scalar) -> Scalar:
    r"""Compute irrigation or deep water reaching dry roots: $q (1 - W/W_c)$ below the critical storage.

    Args:
        storage: Water in the root zone. [kg m-2]
        critical: Storage below which evaporation is stressed. [kg m-2]
        most: Supply of an empty root zone. [kg m-2 s-1]

    Returns:
        Supply; none at or above the critical storage. [kg m-2 s-1]

    Source:
        Ours: capillary rise in the form of the HBV model (Bergstrom 1995, in Computer Models of Watershed Hydrology,
        443-476) and irrigation up to a target storage, in one.
    """
    return most * jnp.maximum(1.0 - storage / critical, 0.0)


def interception(storage: Scalar, rain: Scalar, capacity: Scalar) -> Scalar:
    """Compute the water that leaves hold, of their own and of a step's rain; the rest falls through.

    Args:
        storage: Rain on the leaves. [kg m-2]
        rain: Rain of the step. [kg m-2]
        capacity: Water that leaves can hold. [kg m-2]

    Returns:
        Water on the leaves before any of it evaporates. [kg m-2]

    Source:
        Rutter et al. (1971), Agric. Meteorol. 9, 367-384, with a closed canopy from which all that it cannot hold drips
        at once.
    """
    return jnp.minimum(storage + rain, capacity)


def overflow(excess: Scalar, width: Scalar) -> Scalar:
    r"""Compute overflow: max(x, 0) with its corner rounded by a parabola between $-w$ and $w$.

    Args:
        excess: Water above capacity (negative: room left). [kg m-2]
        width: Half width of the rounding. [kg m-2]

    Returns:
        Water that drains; never less than the excess. [kg m-2]

    Source:
        Overflow drainage of Milly & Shmakin (2002); the rounding is ours, and gives the capacity a gradient.
    """
    within = jnp.clip(excess, -width, width)
    return (within + width) ** 2 / (4.0 * width) + jnp.maximum(excess - width, 0.0)


def saturated_share(storage: Scalar, capacity: Scalar, spread: Scalar) -> Scalar:
    r"""Compute the saturated share of ground whose capacities differ, $A = 1 - (1 - W/W_c)^{b/(1+b)}$.

    Args:
        storage: Water in the root zone. [kg m-2]
        capacity: Mean capacity of the root zone. [kg m-2]
        spread: Shape b of the distribution of capacities; 0: it is the same everywhere. [1]

    Returns:
        Saturated share. [1]

    Source:
        Zhao (1992), J. Hydrol. 135, 371-381; Liang et al. (1994), J. Geophys. Res. 99(D7), 14415-14428.
    """
    room = jnp.maximum(1.0 - storage / capacity, MIN_ROOM)
    return 1.0 - room ** (spread / (1.0 + spread))


def saturation_excess(storage: Scalar, gain: Scalar, capacity: Scalar, spread: Scalar) -> Scalar:
    r"""Integrate saturation excess exactly as the root zone fills: $\int_0^g A\,dg'$ with $dW = (1 - A)\,dg'$.

    With $x = 1 - W/W_c$ the room left and $r = g / [W_c (1+b)\, x^{1/(1+b)}]$, the ground takes up
    $W_c\, x\, [1 - (1 - r)^{1+b}]$, and a bucket of one capacity would take up $\min(g, W_c x)$. The
    difference runs off here; water that would not fit into the bucket either is left to overflow.

    Args:
        storage: Water in the root zone before. [kg m-2]
        gain: Rain and melt less evaporation; a loss counts as none. [kg m-2]
        capacity: Mean capacity of the root zone. [kg m-2]
        spread: Shape b of the distribution of capacities; 0: nothing runs off before all the ground is full. [1]

    Returns:
        Water that runs off; never more than is gained. [kg m-2]

    Source:
        Zhao (1992), J. Hydrol. 135, 371-381; Liang et al. (1994), J. Geophys. Res. 99(D7), 14415-14428, eq. 3.
    """
    room = jnp.maximum(1.0 - storage / capacity, MIN_ROOM)
    gain = jnp.maximum(gain, 0.0)
    filling = jnp.minimum(gain / (capacity * (1.0 + spread) * room ** (1.0 / (1.0 + spread))), 1.0)
    taken_up = capacity * room * (1.0 - (1.0 - filling) ** (1.0 + spread))
    return jnp.where(spread > 0.0, jnp.maximum(jnp.minimum(gain, capacity * room) - taken_up, 0.0), 0.0)


def gravity_drainage(storage: Scalar, capacity: Scalar, rate: Scalar, exponent: Scalar, dt: Scalar) -> Scalar:
    r"""Compute slow drainage below capacity, $D = K (W/W_c)^{n-1}\, W'/W_c$, which W' after the step makes implicit.

    Args:
        storage: Water in the root zone before, at most its capacity. [kg m-2]
        capacity: Capacity of the root zone. [kg m-2]
        rate: Leakage K of a full root zone. [kg m-2 s-1]
        exponent: Exponent of saturation. [1]
        dt: Step length. [s]

    Returns:
        Leakage; never more than there is. [kg m-2 s-1]

    Source:
        Conductivity of Clapp and Hornberger (1978), Water Resour. Res. 14, 601-604, under a unit gradient.
    """
    saturation = jnp.clip(storage / capacity, 0.0, 1.0)
    pace = rate * saturation ** (exponent - 1.0) / capacity
    return pace * storage / (1.0 + dt * pace)


def capillary_rise(groundwater: Scalar, storage: Scalar, limit: Scalar, rate: Scalar, dt: Scalar) -> Scalar:
    r"""Compute water that dry roots take up from a store below, $r\,W_G'\,(1 - W/W_c)$, implicit in that store.

    Args:
        groundwater: Groundwater or deep water at the start of the step. [kg m-2]
        storage: Water in the root zone at the start of the step. [kg m-2]
        limit: Storage above which nothing rises: capacity of the root zone, or its critical storage. [kg m-2]
        rate: Share r of the store that rises to an empty root zone. [s-1]
        dt: Step length. [s]

    Returns:
        Rise; never more than there is. [kg m-2 s-1]

    Source:
        Capillary flux of the HBV model (Bergstrom 1995, in Computer Models of Watershed Hydrology, 443-476), out of a
        store with its own budget.
    """
    pace = rate * jnp.maximum(1.0 - storage / limit, 0.0)
    return pace * groundwater / (1.0 + dt * pace)


def reservoir(storage: Scalar, recharge: Scalar, residence_time: Scalar, dt: Scalar) -> tuple[Scalar, Scalar]:
    r"""Advance a linear reservoir exactly: $W' = W + (1 - e^{-\Delta t/\tau})(\tau D - W)$.

    Args:
        storage: Water in it at the start of the step. [kg m-2]
        recharge: Inflow. [kg m-2 s-1]
        residence_time: Residence time. [s]
        dt: Step length. [s]

    Returns:
        Water in it at the end of the step [kg m-2] and outflow [kg m-2 s-1].

    Source:
        Milly & Shmakin (2002); GFDL LM2.
    """
    gain = -jnp.expm1(-dt / residence_time) * (residence_time * recharge - storage)
    return storage + gain, recharge - gain / dt
