"""The mean of what several models make of the same record."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from bowen.data.schema import OBSERVED
from bowen.evaluation.scores import as_tower_reports


def ensemble_mean(members: Sequence[xr.Dataset], name: str) -> xr.Dataset:
    """The mean of simulations of the same steps, which closes the budget of water where each of them does.

    Turbulent fluxes are those that the tower would measure of each; what not all members tell is left out.

    Args:
        members: Simulations, at least one.
        name: What to call the mean.

    Returns:
        A simulation, trained here if one of the members was.
    """

    def mean(variable: str) -> tuple:
        values = np.mean([as_tower_reports(member, variable) for member in members], axis=0)
        return members[0][variable].dims, values, members[0][variable].attrs

    told = [str(variable) for variable in members[0] if all(variable in member for member in members)]
    trained = {
        mark: max(member.attrs[mark] for member in members)
        for mark in ("trained_here", "water_trained")
        if mark in members[0].attrs
    }
    return xr.Dataset(
        {variable: mean(variable) for variable in told if not variable.endswith(OBSERVED)},
        members[0].coords,
        members[0].attrs | {"model": name} | trained,
    )
