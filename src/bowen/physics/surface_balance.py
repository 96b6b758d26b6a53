"""Surface energy balance: one equation for the surface temperature, with snowmelt as a complementarity.

The last Newton step is taken on linearized fluxes, and the linearized fluxes are the ones returned: the balance the
fluxes obey is then the linear equation that was solved, and it closes to round-off however few iterations are made.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from bowen.numerics.array_types import Scalar
from bowen.numerics.rematerialization import ITERATES, save_residual
from bowen.physics.constants import FUSION

MAX_NEWTON_STEP = 15.0  # K; keeps iterates away from the poles of the saturation humidity


class SurfaceFluxes(NamedTuple):
    """Fluxes of the surface at a given temperature; positive as their names say."""

    net_radiation: Scalar  # W m-2
    sensible_heat: Scalar  # W m-2
    root_evaporation: Scalar  # kg m-2 s-1
    snow_evaporation: Scalar  # kg m-2 s-1
    canopy_evaporation: Scalar  # kg m-2 s-1, of rain on the leaves
    sheltered_melt: Scalar  # kg m-2 s-1

    @property
    def vapor(self) -> Scalar:
        """Sum of all evaporation. [kg m-2 s-1]."""
        return self.root_evaporation + self.snow_evaporation + self.canopy_evaporation


class GroundHeatCoupling(NamedTuple):
    """Heat that warming the surface costs, in the first layer and in the soil ground."""

    storage: Scalar  # W m-2 K-1, heat capacity of the first layer and the vegetation over the step length
    flux: Scalar  # W m-2, conducted to the layer below if the first does not warm
    slope: Scalar  # W m-2 K-1, increase of the flux per kelvin of warming


class SurfaceBalance(NamedTuple):
    """Solution of the balance over one step."""

    fluxes: SurfaceFluxes
    warming: Scalar  # K, of the first layer
    snow_loss: Scalar  # kg m-2 s-1, melt and sublimation
    melted_out: Scalar  # 1, whether the snow is all lost
    last_step: Scalar  # K, of the Newton iteration: how far from converged


def available_energy(net_radiation: Scalar, warming: Scalar, ground: GroundHeatCoupling) -> Scalar:
    r"""Compute the energy left for turbulence and snow: $A = R_n - c\,\delta - G(\delta)$.

    Args:
        net_radiation: Net radiation of the warmed surface. [W m-2]
        warming: Warming of the first layer over the step. [K]
        ground: Heat capacity of the surface and its coupling to the soil. [W m-2 K-1, W m-2, W m-2 K-1]

    Returns:
        Available energy. [W m-2]

    Source:
        Milly & Shmakin (2002): heat balance of the first soil layer.
    """
    return net_radiation - ground.storage * warming - ground.flux - ground.slope * warming


def surplus(fluxes: SurfaceFluxes, warming: Scalar, ground: GroundHeatCoupling, vaporization_heat: Scalar) -> Scalar:
    r"""Compute the energy left for snow: $Q = A - H - \lambda E$, with fusion not yet paid.

    Args:
        fluxes: Radiative and turbulent fluxes at the warmed surface. [W m-2, kg m-2 s-1]
        warming: Warming of the first layer over the step. [K]
        ground: As for `available_energy`. [W m-2 K-1, W m-2, W m-2 K-1]
        vaporization_heat: Latent heat of vaporization. [J kg-1]

    Returns:
        Surplus. [W m-2]

    Source:
        Milly & Shmakin (2002): heat balance of the first soil layer.
    """
    turbulent = fluxes.sensible_heat + vaporization_heat * fluxes.vapor
    return available_energy(fluxes.net_radiation, warming, ground) - turbulent


def balance_surface(
    fluxes: Callable[[Scalar], SurfaceFluxes],
    ground: GroundHeatCoupling,
    to_melting: Scalar,
    snow_supply: Scalar,
    sheltered: Bool[Array, "..."],
    vaporization_heat: Scalar,
    dt: Scalar,
    iterations: int,
) -> SurfaceBalance:
    r"""Solve $Q(\delta) = L_f N$ for the warming of the surface and the loss of snow N.

    Three regimes, distinguished beforehand by $q = Q$ at the melting point: too cold to melt (N is the sublimation),
    melting (the surface stays at the melting point, N = q / L_f), melted out (N is all the snow). Sheltered snow does
    not hold the surface at the melting point, and its melt is a flux like others. Iterations carry no gradient; the
    last Newton step does, which is the derivative of the implicit function.

    Args:
        fluxes: Fluxes for a given warming; a pytree, so that its gradient can be stopped. [K -> W m-2, kg m-2 s-1]
        ground: As for `available_energy`. [W m-2 K-1, W m-2, W m-2 K-1]
        to_melting: Warming that would bring the surface to the melting point. [K]
        snow_supply: Snow at the start of the step with the step's snowfall. [kg m-2]
        sheltered: Whether the surface is a canopy above the snow. [1]
        vaporization_heat: Latent heat of vaporization. [J kg-1]
        dt: Step length. [s]
        iterations: Newton steps, the differentiated one included. [1]

    Returns:
        Fluxes, warming, loss of snow, and size of the last Newton step.

    Source:
        Ours; generalizes the "melt is the excess above the melting point, limited by the snow" of GFDL LM2. The
        one-step derivative: Bolte, Pauwels & Vaiter (2023), NeurIPS.
    """
    at_melting = fluxes(to_melting)
    heat = surplus(at_melting, to_melting, ground, vaporization_heat)
    all_snow = snow_supply / dt
    melted_out = (heat >= FUSION * all_snow) & ~sheltered
    melting = (heat > FUSION * at_melting.snow_evaporation) & ~melted_out & ~sheltered

    def residual(value, warming, ground, vaporization_heat, all_snow):
        loss = jnp.where(melted_out, all_snow, value.snow_evaporation + value.sheltered_melt)
        return surplus(value, warming, ground, vaporization_heat) - FUSION * loss

    def slopes(fluxes, ground, vaporization_heat, warming):
        """Compute fluxes at `warming`, their slopes, and the slope of the residual."""
        value, slope = jax.jvp(fluxes, (warming,), (jnp.ones_like(warming),))
        one, zero = jnp.ones_like(warming), jnp.zeros_like(warming)
        loss_slope = jnp.where(melted_out, 0.0, slope.snow_evaporation + slope.sheltered_melt)
        heat_slope = surplus(slope, one, ground._replace(flux=zero), vaporization_heat)
        return value, slope, heat_slope - FUSION * loss_slope

    operands = fluxes, ground, vaporization_heat, all_snow
    constant = jax.lax.stop_gradient(operands) if iterations > 1 else operands
    warming = jnp.zeros_like(to_melting)
    for _ in range(iterations - 1):
        value, _, slope_of_residual = slopes(*constant[:3], warming)
        step = residual(value, warming, *constant[1:]) / slope_of_residual
        warming = warming - jnp.clip(step, -MAX_NEWTON_STEP, MAX_NEWTON_STEP)

    warming = jnp.where(melting, to_melting, save_residual(warming, ITERATES))
    _, slope, slope_of_residual = slopes(*constant[:3], jax.lax.stop_gradient(warming) if iterations > 1 else warming)
    value = fluxes(warming)
    last_step = jnp.where(
        melting, 0.0, -residual(value, warming, ground, vaporization_heat, all_snow) / slope_of_residual
    )
    applied = jax.tree.map(lambda flux, rate: flux + rate * last_step, value, slope)
    unforced = applied.snow_evaporation + applied.sheltered_melt
    snow_loss = jnp.where(melted_out, all_snow, jnp.where(melting, heat / FUSION, unforced))
    return SurfaceBalance(applied, warming + last_step, snow_loss, melted_out, last_step)
