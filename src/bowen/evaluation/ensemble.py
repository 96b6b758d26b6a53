"""Mean of the simulations of several models of the same record."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from bowen.data.schema import OBSERVED
from bowen.evaluation.scores import as_tower_reports


def ensemble_mean(members: Sequence[xr.Dataset], name: str) -> xr.Dataset:
    """Average simulations of the same steps; the mean closes the water budget if each of them does.

    Turbulent fluxes are averaged as the tower would report them. Variables that a member lacks are left out.

    Args:
        members: Simulations, at least one.
        name: Name of the mean in the attribute `model`.

    Returns:
        A simulation, marked as trained at this site if one of the members was.
    """

    def mean(variable: str) -> tuple:
        values = np.mean([as_tower_reports(member, variable) for member in members], axis=0)
        return members[0][variable].dims, values, members[0][variable].attrs

    common = [str(variable) for variable in members[0] if all(variable in member for member in members)]
    trained = {
        mark: max(member.attrs[mark] for member in members)
        for mark in ("trained_here", "water_trained")
        if mark in members[0].attrs
    }
    return xr.Dataset(
        {variable: mean(variable) for variable in common if not variable.endswith(OBSERVED)},
        members[0].coords,
        members[0].attrs | {"model": name} | trained,
    )
