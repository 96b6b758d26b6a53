"""Empirical models of PLUMBER2: regressions of the turbulent fluxes on the weather, trained at other towers.

They use neither site properties nor the past, except for the lagged inputs of two of them. A land surface model with
larger errors leaves information in its forcing unused.

Every tower has the same weight, whatever the length and number of its records: the weights of its measured steps have
the same sum. Each flux has its own model.

Source:
    Best et al. (2015), J. Hydrometeorol. 16, 1425-1442: `1lin`, `2lin` and `3km27`; Abramowitz et al. (2024),
    Biogeosciences 21, 5517-5538: `6km729` and `6km729lag`. `boosting` is ours.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import xarray as xr

from bowen.data.quality_flags import is_measured
from bowen.data.schema import TURBULENT, find_nearest, get_attributes
from bowen.errors import ConfigError, DataError
from bowen.evaluation.empirical.inputs import Lag, stack_inputs
from bowen.evaluation.empirical.regressions import Predictor, boosted, clustered, linear


@dataclass(frozen=True)
class Recipe:
    """Definition of an empirical model: its inputs, and the estimator that is trained on them.

    `estimator` takes inputs (step, input), a flux [W m-2] and weights, the latter two (step,).
    """

    inputs: tuple[str | Lag, ...]
    estimator: Callable[[np.ndarray, np.ndarray, np.ndarray], Predictor]


@dataclass(frozen=True)
class Empirical:
    """Trained empirical model, with a predictor for each flux."""

    name: str
    predictors: Mapping[str, Predictor]

    def predict(self, dataset: xr.Dataset) -> xr.Dataset:
        """Predict the fluxes at a tower.

        Args:
            dataset: A canonical record whose forcing has no gaps.

        Returns:
            The fluxes on the time axis of the record, as `bowen.score` takes them. [W m-2]

        Raises:
            DataError: An input is absent or has gaps.
        """
        inputs = stack_inputs(MODELS[self.name].inputs, dataset)
        fluxes = {
            target: ("time", predictor(inputs), get_attributes(target)) for target, predictor in self.predictors.items()
        }
        return xr.Dataset(fluxes, {"time": dataset.time}, {"site": dataset.attrs.get("site", ""), "model": self.name})


def fit(
    name: str, towers: Sequence[xr.Dataset], steps: Sequence[np.ndarray], targets: Sequence[str] = TURBULENT
) -> Empirical:
    """Train an empirical model on the measured steps (qc 0) of towers.

    Args:
        name: One of `MODELS`.
        towers: Canonical records whose forcing has no gaps; one without measured steps of a flux is not used for it.
        steps: For each tower a boolean array, True at the steps to train on.
        targets: The fluxes to predict.

    Returns:
        The trained model.

    Raises:
        ConfigError: There is no such model, or scikit-learn is not installed.
        DataError: An input is absent or has gaps, the steps do not fit the towers, or no step of a flux was measured.
    """
    if name not in MODELS:
        raise ConfigError("empirical models", f"none is called `{name}`", details=find_nearest([name], MODELS))
    if [np.shape(keep) for keep in steps] != [tower.time.shape for tower in towers]:
        raise DataError(
            name,
            f"the training steps do not fit the {len(towers)} towers",
            fix="give a boolean array for each tower, as long as its record",
        )
    inputs = [stack_inputs(MODELS[name].inputs, tower) for tower in towers]
    predictors = {}
    for target in targets:
        chosen = [np.asarray(keep, bool) & _measured(tower, target) for keep, tower in zip(steps, towers, strict=True)]
        if not any(keep.any() for keep in chosen):
            raise DataError(
                name,
                f"no training step of {target} was measured at the {len(towers)} towers",
                fix="add towers with measured fluxes (qc 0), or train on more steps",
            )
        rows = np.concatenate([values[keep] for values, keep in zip(inputs, chosen, strict=True)])
        flux = np.concatenate(
            [tower[target].values[keep] for tower, keep in zip(towers, chosen, strict=True) if keep.any()]
        )
        sites = [tower.attrs.get("site", number) for number, tower in enumerate(towers)]
        weights = equal_weights(sites, [int(keep.sum()) for keep in chosen])
        predictors[target] = MODELS[name].estimator(rows, flux.astype(float), weights)
    return Empirical(name, predictors)


def equal_weights(sites: Sequence[Hashable], counts: Sequence[int]) -> np.ndarray:
    """Compute weights of the steps of records, with the same sum for each site with steps, and a mean of one.

    Args:
        sites: The site of each record.
        counts: The number of steps of each record.

    Returns:
        A weight for each step, record after record. [1]
    """
    of_site = Counter[Hashable]()
    for site, count in zip(sites, counts, strict=True):
        of_site[site] += count
    share = sum(counts) / sum(total > 0 for total in of_site.values())
    return np.concatenate(
        [np.full(count, share / max(of_site[site], 1)) for site, count in zip(sites, counts, strict=True)]
    )


def _measured(tower: xr.Dataset, target: str) -> np.ndarray:
    return is_measured(tower, target) if target in tower else np.zeros(tower.time.shape, bool)


_SIX = (
    "shortwave_down",
    "air_temperature",
    "relative_humidity",
    "wind_speed",
    "precipitation",
    "longwave_down",
)
_LAGS = tuple(
    Lag(name, *days) for name in ("precipitation", "air_temperature") for days in ((0, 7), (7, 30), (30, 90))
)  # of the last week, the rest of a month and the rest of a season; not given by PLUMBER2

MODELS: Mapping[str, Recipe] = {
    "1lin": Recipe(_SIX[:1], linear),
    "2lin": Recipe(_SIX[:2], linear),
    "3km27": Recipe(_SIX[:3], partial(clustered, clusters=27, starts=10)),
    "6km729": Recipe(_SIX, partial(clustered, clusters=729, starts=1)),
    "6km729lag": Recipe((*_SIX, *_LAGS), partial(clustered, clusters=729, starts=1)),
    "boosting": Recipe((*_SIX, *_LAGS), boosted),
}
