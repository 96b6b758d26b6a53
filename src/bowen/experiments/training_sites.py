"""Records to train on: which of them teach a model, what of them it is held to, and how it sees them."""

from collections.abc import Iterable, Sequence

import numpy as np
import xarray as xr

from bowen import data
from bowen.config.schema import Config
from bowen.data.features import Scaler, site_attributes
from bowen.errors import ConfigError
from bowen.experiments.build import site_of
from bowen.models.base import initial_state
from bowen.training.arrays import Series, radiation_name
from bowen.training.windows import Tower

Example = tuple[xr.Dataset, np.ndarray]  # a canonical dataset, and what each of its steps is for


def taught(config: Config, records: Iterable[Example]) -> tuple[list[int], tuple[str, ...]]:
    """The places of the records that teach the model of a configuration, and all that they teach.

    Both turbulent fluxes are targets wherever one of them was measured; runoff and snow, where they were. A record
    without any teaches nothing and is left out, and so is a basin for a network alone, which tells neither of the two.

    Raises:
        ConfigError: There is none.
    """
    each, network = [{*data.targets_measured(dataset)} for dataset, _ in records], config.model.kind == "network"
    known = set().union(*each)
    teaching = known - {*data.WATER} if network else known
    chosen = [place for place, told in enumerate(each) if told & teaching]
    if not chosen and known:
        raise ConfigError(
            '[model]: kind = "network" tells latent and sensible heat alone, and no record has measured either.\n'
            '  to go on: set kind = "hybrid" or "process", which have runoff and snow, or add a tower.'
        )
    heat = data.TURBULENT if network or known & {*data.TURBULENT} or not known else ()
    water = () if network else tuple(name for name in data.WATER if name in known)
    return chosen or list(range(len(each))), (*heat, *water)


def span(dataset: xr.Dataset) -> str:
    """The first and the last day of a record."""
    first, last = (f"{dataset.time.values[end]:.10}" for end in (0, -1))
    return f"{first} to {last}"


def fitted(config: Config, records: Iterable[Example]) -> Scaler:
    """The scaler of the features that a configuration shows a network."""
    either = config.tower.radiation == "either"
    radiation = data.RADIATION if either else (radiation_name(config.tower.radiation == "prescribed"),)
    seen = ((dataset, labels == "train") for dataset, labels in records)
    return Scaler.fit(seen, radiation, config.model.attributes)


def tower_of(
    config: Config,
    scaler: Scaler,
    dataset: xr.Dataset,
    labels: np.ndarray,
    number: int,
    *,
    targets: Sequence[str] = data.TURBULENT,
) -> Tower:
    """A record as a model sees it; `number` is its place among those trained on, -1 for another.

    Corrections are allowed where more evaporated than fell, beyond what the soil may have given, which is known where
    it was trained on; and where its plants need more than falls, which is known anywhere.
    """
    prescribed = bool(dataset.attrs.get("prescribed_radiation", config.tower.radiation == "prescribed"))
    weighted = number >= 0 and config.training.weights == "uncertainty"
    series = Series.of(dataset, scaler, prescribed=prescribed, weighted=weighted, targets=targets)
    known = dataset.attrs | {"prescribed_radiation": prescribed, "positive_only": data.positive_only(dataset)}
    needs = data.lives_on_more_than_rain(dataset)
    exceeds = number >= 0 and config.model.corrections and data.water_balance(dataset)["exceeds"]
    of_record, of_others = known, known
    if config.tower.closure == "measured":
        of_record, of_others = (known | {"observed_fraction": scaler.closure(place)} for place in (number, -1))
    attributes = site_attributes(dataset)
    site = site_of(config, of_record, attributes, number, bool(exceeds or needs))
    stranger = site_of(config, of_others, attributes, -1, needs) if config.model.strangers else None
    state = initial_state(site.base, series.inputs.forcing.air_temperature.mean())
    return Tower(dataset.attrs["site"], series, site, state, labels, data.by_day(dataset), stranger)
