"""Simulation of one site: spin up, run, and give the output as a dataset."""

import equinox as eqx
import xarray as xr

from bowen.config.schema import MAX_SPIN_UP_YEARS
from bowen.errors import ConfigError
from bowen.models.base import AbstractLandModel, Process, reset_root_zone
from bowen.models.hybrid import FluxNetwork
from bowen.models.lstm import LSTM
from bowen.models.rollout import spin_up, unroll
from bowen.training.arrays import to_dataset
from bowen.training.optimizer import require_finite_weights
from bowen.training.site_data import SiteData, require_site_data

YEAR_SECONDS = 365 * 86400


def simulate(
    model: AbstractLandModel, site: SiteData, *, spin_up_years: int = 3, name: str | None = None
) -> xr.Dataset:
    """Run a model over the record of a site, after cycling it over the first year of that record.

    Args:
        model: Any land model.
        site: From `SiteData`.
        spin_up_years: Number of cycles, at least one; a record shorter than a year is cycled as a whole, and its root
            zone is reset afterwards.
        name: Of the model, in the attributes; None names it by its kind.

    Returns:
        Fluxes, states, learned parameters and the residuals of both budgets, with units.

    Raises:
        ConfigError: The number of cycles is impossible.
        DataError: `site` is not `SiteData`.
        ModelError: A weight or a value is not finite, or a state is outside the range that nature allows; the message
            names the variable, time and site, and the likely cause.
    """
    require_site_data(site)
    require_finite_weights(model)
    if not 0 <= spin_up_years <= MAX_SPIN_UP_YEARS:
        raise ConfigError("spin_up_years", f"is {spin_up_years}", fix=f"set it to at most {MAX_SPIN_UP_YEARS}")
    here, inputs = model.for_site(site.parameters), site.arrays.inputs
    year = min(round(YEAR_SECONDS / site.record.attrs["timestep_s"]), site.record.sizes["time"])
    carry = spin_up(here, site.state, inputs.window(0, year), max(1, spin_up_years))
    if not inputs.is_a_year_long():
        carry = reset_root_zone(here, carry)
    _, output = eqx.filter_jit(unroll)(here, carry, inputs)
    return to_dataset(here, output, site.record, model_name(model) if name is None else name)


def model_name(model: AbstractLandModel) -> str:
    """Name the kind of a model as tables and figures do."""
    if isinstance(model, Process):
        return "calibrated LaD" if model.offsets else "LaD"
    if isinstance(model, FluxNetwork):
        return "LSTM" if isinstance(model.network, LSTM) else type(model.network).__name__
    return "hybrid"
