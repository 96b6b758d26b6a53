"""Records to train on: which of them teach a model, what of them it is held to, and how it sees them."""

from collections.abc import Iterable, Sequence

import numpy as np
import xarray as xr

from bowen import data
from bowen.config.schema import Config
from bowen.data.features import Scaler, site_attributes
from bowen.errors import ConfigError
from bowen.experiments.build import site_parameters
from bowen.land.variables import initial_state
from bowen.training.arrays import SiteArrays, radiation_name
from bowen.training.windows import SiteData

LabeledRecord = tuple[xr.Dataset, np.ndarray]  # a canonical dataset, and what each of its steps is for


def select_training_records(config: Config, records: Iterable[LabeledRecord]) -> tuple[list[int], tuple[str, ...]]:
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
            '  fix: set kind = "hybrid" or "process", which have runoff and snow, or add a tower.'
        )
    heat = data.TURBULENT if network or known & {*data.TURBULENT} or not known else ()
    water = () if network else tuple(name for name in data.WATER if name in known)
    return chosen or list(range(len(each))), (*heat, *water)


def period_covered(dataset: xr.Dataset) -> str:
    """The first and the last day of a record."""
    first, last = (f"{dataset.time.values[end]:.10}" for end in (0, -1))
    return f"{first} to {last}"


def fit_scaler(config: Config, records: Iterable[LabeledRecord]) -> Scaler:
    """The scaler of the features that a configuration shows a network."""
    either = config.data.net_radiation == "measured_if_available"
    radiation = data.RADIATION if either else (radiation_name(config.data.net_radiation == "measured"),)
    seen = ((dataset, labels == "train") for dataset, labels in records)
    return Scaler.fit(seen, radiation, config.model.attributes)


def make_site_data(
    config: Config,
    scaler: Scaler,
    dataset: xr.Dataset,
    labels: np.ndarray,
    number: int,
    *,
    targets: Sequence[str] = data.TURBULENT,
) -> SiteData:
    """A record as a model sees it; `number` is its place among those trained on, -1 for another.

    Corrections are allowed where more evaporated than fell, beyond what the soil may have given, which is known where
    it was trained on; and where its plants need more than falls, which is known anywhere.
    """
    weighted = number >= 0 and config.training.weights == "uncertainty"
    series = SiteArrays.of(dataset, scaler, net_radiation=config.data.net_radiation, weighted=weighted, targets=targets)
    known = dataset.attrs | {"latent_heat_truncated": data.latent_heat_truncated(dataset)}
    needs = data.lives_on_more_than_rain(dataset)
    exceeds = number >= 0 and config.model.water_corrections and data.water_balance(dataset)["exceeds"]
    of_record, of_others = known, known
    if config.data.closure == "measured_fraction":
        of_record, of_others = (known | {"closure_fraction": scaler.closure(place)} for place in (number, -1))
    attributes = site_attributes(dataset)
    site = site_parameters(config, of_record, attributes, number, bool(exceeds or needs))
    unseen_site = site_parameters(config, of_others, attributes, -1, needs) if config.model.train_as_unseen else None
    state = initial_state(site.base, series.inputs.forcing.air_temperature.mean())
    return SiteData(dataset.attrs["site"], series, site, state, labels, data.by_day(dataset), unseen_site)
