"""Water below the surface: supply and overflow of the root zone, groundwater and runoff."""

import jax.numpy as jnp

from bowen.quantities import Scalar


def supply(storage: Scalar, critical: Scalar, most: Scalar) -> Scalar:
    r"""Water that is lifted to dry roots, or that a farmer gives them: $q (1 - W/W_c)$ below the critical storage.

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


def overflow(excess: Scalar, width: Scalar) -> Scalar:
    r"""Water that does not fit: max(x, 0) with its corner rounded by a parabola between $-w$ and $w$.

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


def groundwater(storage: Scalar, recharge: Scalar, residence_time: Scalar, dt: Scalar) -> tuple[Scalar, Scalar]:
    r"""Linear reservoir, advanced exactly: $W' = W + (1 - e^{-\Delta t/\tau})(\tau D - W)$.

    Args:
        storage: Groundwater at the start of the step. [kg m-2]
        recharge: Drainage from the root zone. [kg m-2 s-1]
        residence_time: Residence time. [s]
        dt: Step length. [s]

    Returns:
        Groundwater at the end of the step [kg m-2] and runoff [kg m-2 s-1].

    Source:
        Milly & Shmakin (2002); GFDL LM2.
    """
    gain = -jnp.expm1(-dt / residence_time) * (residence_time * recharge - storage)
    return storage + gain, recharge - gain / dt
