"""Data of one site as a model takes it: arrays, feature scaler, site parameters and a state to spin up from."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import xarray as xr

from bowen import data
from bowen.config.schema import Config, DataConfig, parse
from bowen.data import TURBULENT
from bowen.data.features import Scaler, compute_site_attributes
from bowen.errors import DataError
from bowen.land.land_classes import parameters_for
from bowen.land.parameters import Parameters
from bowen.land.tower_observation import TowerParameters
from bowen.land.variables import State, initial_state
from bowen.models.base import SiteParameters
from bowen.models.hybrid import NUM_STATE_FEATURES, FluxScale
from bowen.numerics.array_types import Scalar
from bowen.physics import turbulence
from bowen.training.arrays import SiteArrays, radiation_name

_ATTRIBUTES = ("site", "timestep_s", "latitude", "longitude", "igbp", "reference_height", "canopy_height")
MIN_LIGHT = 1e-3  # W m-2, so that a record of nights has a mean
MIN_WIND = 0.1  # m s-1
UNSEEN = -1  # index of a site that was not trained on


class SiteData:
    """A record with everything that a model needs to know of its site.

    Attributes:
        name: Of the site.
        record: The canonical dataset.
        scaler: Normalizes the features, fitted to the training steps.
        arrays: Inputs and targets.
        parameters: Of the site, from its vegetation and soil classes and heights.
        state: To spin up from.
        labels: "train", "validation", "test" or "" for each step.
        has_daily_fluxes: True if the turbulent targets are daily means.
        as_unseen: Parameters as of an unseen site, for every second training window; None: all use `parameters`.
    """

    def __init__(
        self,
        record: xr.Dataset,
        split: np.ndarray | xr.DataArray | None = None,
        *,
        scaler: Scaler | None = None,
        index: int | None = None,
        targets: Sequence[str] = TURBULENT,
        config: Config | None = None,
        **settings: Any,
    ):
        """Prepare a record.

        Args:
            record: Canonical dataset with forcing without gaps, from `read` and `fill_forcing`.
            split: Label of each step, from `block_split` or `period_split`; None for a record to be simulated only.
            scaler: Of a model that was trained, or of several records; None fits one to the training steps.
            index: Place among the sites trained on, -1 for an unseen site; None: 0 with a split, else -1.
            targets: Variables to train on.
            config: Settings of a run; None takes the defaults.
            settings: Settings of the table [data], such as soil="CMF" or net_radiation="measured".

        Raises:
            DataError: The record is not canonical, a forcing variable is missing or has gaps, or too little was
                measured in the training steps.
            ConfigError: A setting is unknown or out of bounds.
        """
        data.check_canonical(record, _ATTRIBUTES)
        config = with_data_settings(config, settings)
        self.labels = np.empty(0) if split is None else np.asarray(split)
        self.scaler = fit_scaler(config, [(record, self.labels)]) if scaler is None else scaler
        index = (UNSEEN if split is None else 0) if index is None else index
        is_trained, radiation = index != UNSEEN, config.data.net_radiation
        weighted = is_trained and config.training.weights == "uncertainty"
        self.name, self.record = record.attrs["site"], record
        self.arrays = SiteArrays.of(record, self.scaler, net_radiation=radiation, weighted=weighted, targets=targets)
        self.has_daily_fluxes = data.has_daily_fluxes(record)
        needs_more = data.has_water_beyond_rain(record)
        exceeds = is_trained and config.model.water_corrections and data.summarize_water_balance(record)["exceeds"]
        self.parameters = site_parameters(config, record, self.scaler, index, bool(exceeds or needs_more))
        unseen = site_parameters(config, record, self.scaler, UNSEEN, needs_more)
        self.as_unseen = unseen if config.model.train_as_unseen else None
        self.state = initial_state(self.parameters.land, self.arrays.inputs.forcing.air_temperature.mean())

    @classmethod
    def from_parts(
        cls,
        name: str,
        arrays: SiteArrays,
        parameters: SiteParameters,
        state: State,
        labels: np.ndarray,
        *,
        has_daily_fluxes: bool = False,
        as_unseen: SiteParameters | None = None,
        record: xr.Dataset | None = None,
        scaler: Scaler | None = None,
    ) -> "SiteData":
        """Put a site together from parts that exist; see the class for what they are."""
        site = object.__new__(cls)
        site.name, site.arrays, site.parameters, site.state, site.labels = name, arrays, parameters, state, labels
        site.has_daily_fluxes, site.as_unseen = has_daily_fluxes, as_unseen
        site.record, site.scaler = record, scaler  # type: ignore[assignment]  # what needs them is not asked of parts
        return site

    def replace(self, **parts: Any) -> "SiteData":
        """Return a copy with other parts."""
        return type(self).from_parts(**{**vars(self), **parts})

    @classmethod
    def of_many(
        cls, records: Sequence[tuple[xr.Dataset, np.ndarray]], config: Config | None = None, **settings: Any
    ) -> list["SiteData"]:
        """Prepare several records with one scaler, each a dataset with the label of each step.

        Raises:
            DataError: See the class; or a flux was measured in no record.
        """
        config = with_data_settings(config, settings)
        scaler = fit_scaler(config, records)
        return [
            cls(record, split, scaler=scaler, index=index, config=config)
            for index, (record, split) in enumerate(records)
        ]

    @property
    def num_features(self) -> int:
        """Size of the feature vector of a network in a hybrid: weather, site and state of the land."""
        return self.num_weather_features + NUM_STATE_FEATURES

    @property
    def num_weather_features(self) -> int:
        """Size of the feature vector of a network that sees no state of the land."""
        return len(self.scaler.features)

    @property
    def flux_scale(self) -> FluxScale:
        """Mean and standard deviation of the fluxes in the training steps. [W m-2]."""
        return flux_scale(self.scaler)


def require_site_data(site: Any) -> None:
    """Check that a site is `SiteData`, and not a dataset.

    Raises:
        DataError: It is something else.
    """
    if not isinstance(site, SiteData):
        raise DataError(
            "site",
            f"is of the type {type(site).__name__}, and not SiteData",
            fix="pass `bowen.SiteData(record, split)`, with a record of `bowen.read` or `bowen.from_dataset`",
        )


def with_data_settings(config: Config | None, settings: Mapping[str, Any]) -> Config:
    """Return a configuration, by default that of `bowen train --defaults`, with other settings of the table [data].

    Raises:
        ConfigError: A setting is unknown or out of bounds.
    """
    config = Config(data=DataConfig(met=Path("record.nc"))) if config is None else config
    if not settings:
        return config
    table = {name: value for name, value in config.data.model_dump(mode="json").items() if value is not None}
    checked = parse({"data": table | dict(settings)}, where="SiteData")
    return config.model_copy(update={"data": checked.data})


def radiation_features(config: Config) -> tuple[str, ...]:
    """List the radiation variables that a network sees in addition to shortwave."""
    chosen = config.data.net_radiation
    return data.RADIATION if chosen == "measured_if_available" else (radiation_name(chosen == "measured"),)


def fit_scaler(config: Config, records: Iterable[tuple[xr.Dataset, np.ndarray]]) -> Scaler:
    """Fit the scaler of the features that a configuration shows a network, to the training steps.

    Raises:
        DataError: See `Scaler.fit`.
    """
    seen = ((record, np.asarray(labels) == "train") for record, labels in records)
    return Scaler.fit(seen, radiation_features(config), config.model.attributes)


def flux_scale(scaler: Scaler) -> FluxScale:
    """Return mean and standard deviation of latent and sensible heat in the training steps. [W m-2]."""
    return FluxScale(*(jnp.asarray([table[name] for name in TURBULENT]) for table in (scaler.mean, scaler.spread)))


def land_parameters(config: Config, site: Mapping[str, Any]) -> Parameters:
    """Return the land parameters of a site by its classes and heights.

    Args:
        config: Names the soil class.
        site: IGBP class, reference and canopy height.
    """
    return parameters_for(
        site["igbp"],
        config.data.soil,
        reference_height=site["reference_height"],
        canopy_height=site["canopy_height"],
    )


def typical_friction_velocity(record: xr.Dataset, land: Parameters) -> Scalar:
    """Compute the friction velocity of the mean wind by day, weighted by shortwave radiation, in neutral air. [m s-1].

    Args:
        record: Canonical dataset.
        land: Parameters of its site.
    """
    light = record["shortwave_down"].values.clip(min=0.0) + MIN_LIGHT
    wind = np.average(record["wind_speed"].values, weights=light)
    height = land.reference_height - land.displacement_height
    roughness = land.roughness_length
    coefficient, _ = turbulence.neutral(jnp.zeros(()), height, roughness, roughness, land.critical_richardson)
    return jnp.sqrt(coefficient) * max(wind, MIN_WIND)


def site_parameters(
    config: Config, record: xr.Dataset, scaler: Scaler, index: int, has_water_correction: bool
) -> SiteParameters:
    """Return the parameters and attributes of the site of a record.

    Args:
        config: Settings of the run.
        record: Canonical dataset.
        scaler: Knows the measured closure of the sites trained on.
        index: Place among the sites trained on; -1 for an unseen site.
        has_water_correction: Whether the parameters in `water_corrections` may depart from their defaults: where
            evapotranspiration exceeds precipitation by more than the soil can have given (known of records that are
            trained on), and where the vegetation needs more than the rain (known of any).
    """
    closure: Any = scaler.closure(index, record) if config.data.closure == "measured_fraction" else 1.0
    truncated: Any = data.is_latent_heat_truncated(record)
    land = land_parameters(config, record.attrs)
    tower = TowerParameters(
        closure_fraction=closure,
        typical_friction_velocity=typical_friction_velocity(record, land),
        is_latent_heat_truncated=truncated,
    )
    attributes = compute_site_attributes(record)
    return SiteParameters(
        land,
        tower,
        attributes=[attributes.get(name, 0.0) for name in config.model.regionalized_by],
        index=index,
        has_water_correction=has_water_correction,
    )
