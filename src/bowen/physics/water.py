"""Water below the surface: overflow of the root zone, groundwater and runoff."""

import jax.numpy as jnp

from bowen.quantities import Scalar


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
