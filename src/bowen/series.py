"""The door between the wings: a Dataset becomes the arrays a model runs on, and what a model tells a Dataset again."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Bool, Float

from bowen.constants import LAYER_DEPTH, MELTING_POINT
from bowen.data import RADIATION, aridity, measured, measured_closure
from bowen.data import TURBULENT as TARGETS
from bowen.errors import DataError, ModelError
from bowen.land import AbstractLand, Record
from bowen.quantities import declared, shift
from bowen.solve import Inputs
from bowen.variables import Forcing

FORCING = ("shortwave_down", "air_temperature", "specific_humidity", "air_pressure", "wind_speed", "precipitation")
MEMORY_DAYS = (1.0, 10.0, 30.0)  # half lives of the running means a network sees, for the seasons it cannot remember
# Site attributes in numbers of order one, by what the towers of FLUXNET2015 have; one tower has no spread of its own.
ATTRIBUTES: Mapping[str, Callable[[float], float]] = {
    "latitude": lambda north: (north - 40.0) / 20.0,
    "elevation": lambda above_sea: (above_sea - 500.0) / 600.0,
    "canopy_height": lambda tall: np.log1p(tall) - 1.9,  # a tower taller than all that train is not far from them
    "aridity_log": lambda ratio: ratio / 0.7,
}
LEAST_ARIDITY = 0.125  # where Holdridge's life zones end


def radiation_name(prescribed: bool) -> str:
    """The variable that drives the radiation of the model: incoming longwave, or net radiation where prescribed."""
    return "net_radiation" if prescribed else "longwave_down"


def features(dataset: xr.Dataset, radiation: Sequence[str]) -> dict[str, np.ndarray]:
    """What a network sees of the weather and the site: nothing knows the hour or the day of the year.

    Args:
        dataset: Canonical dataset with forcing without gaps. [1]
        radiation: What it sees of radiation besides shortwave: "longwave_down", "net_radiation", or both. [1]
    """
    frame = dataset[[*FORCING, "vapor_pressure_deficit", *radiation]].to_dataframe()
    dryness, light = frame["vapor_pressure_deficit"].clip(lower=0.0), frame["shortwave_down"].clip(lower=0.0)
    now = {
        "shortwave_down": light,
        "light_saturation": light / (light + 200.0),
        **{name: frame[name] for name in radiation},
        "air_temperature": frame["air_temperature"],
        "vapor_pressure_deficit": dryness,
        "dryness_root": np.sqrt(dryness),
        "wind_speed": frame["wind_speed"],
        "precipitation_log": np.log1p(3600.0 * frame["precipitation"]),
    }
    if "leaf_area_index" in dataset:
        now["leaf_area_index"] = dataset["leaf_area_index"].to_series().interpolate(limit_direction="both")
    day = 86400.0 / dataset.attrs["timestep_s"]
    slow = ("shortwave_down", "air_temperature", "vapor_pressure_deficit", "precipitation")
    past = {f"{name}_{days:g}d": frame[name].ewm(halflife=days * day).mean() for name in slow for days in MEMORY_DAYS}
    known = {**dataset.attrs, "aridity_log": np.nan_to_num(np.log(np.maximum(aridity(dataset), LEAST_ARIDITY)))}
    site = {
        name: np.full(len(frame), of_order_one(known[name]))
        for name, of_order_one in ATTRIBUTES.items()
        if np.isfinite(known.get(name, np.nan))
    }
    return {name: np.asarray(values, float) for name, values in (now | past | site).items()}


@dataclasses.dataclass(frozen=True)
class Scaler:
    """Mean and spread of features and targets over the training steps: fitted once, then part of the model."""

    mean: Mapping[str, float]
    spread: Mapping[str, float]
    optional: Sequence[str] = ()  # features that not all records had; elsewhere they are as in the mean
    closures: Sequence[float | None] = ()  # of the energy balance of each record, where it is known

    @classmethod
    def fit(
        cls, records: Sequence[tuple[xr.Dataset, np.ndarray]], radiation: Sequence[str], attributes: Sequence[str] = ()
    ) -> "Scaler":
        """Fit to the features that all records have; each record counts the same, however long it is.

        Leaf area, if it is among the attributes, need not be known everywhere; where it is not, it is the mean.

        Args:
            records: Of each a canonical dataset, and whether a step is for training; targets count where measured. [1]
            radiation: See `features`. [1]
            attributes: Of the site, among `ATTRIBUTES`, or "leaf_area_index". [1]

        Raises:
            DataError: A target was measured in no record, or in one, but at fewer than 48 of its training steps.
        """
        tables = []
        for dataset, train in records:
            columns = {name: values[train] for name, values in features(dataset, radiation).items()}
            for name in TARGETS:
                if name not in dataset or not measured(dataset, name).any():
                    continue
                columns[name] = dataset[name].values[train & measured(dataset, name)]
                if len(columns[name]) < 48:
                    raise DataError(
                        f"{dataset.attrs.get('site')}: only {len(columns[name])} measured steps of {name} to train "
                        "on.\n  to go on: choose another split, or run `bowen inspect` to see what was measured when."
                    )
            tables.append(columns)
        mean, spread = {}, {}
        for name in dict.fromkeys(name for table in tables for name in table):
            known = [table[name] for table in tables if name in table]
            if name in ATTRIBUTES:
                if name in attributes:
                    mean[name], spread[name] = 0.0, 1.0
            elif len(known) == len(tables) or name in (*TARGETS, *attributes):
                mean[name] = float(np.mean([values.mean() for values in known]))
                deviation = float(np.sqrt(np.mean([((values - mean[name]) ** 2).mean() for values in known])))
                spread[name] = deviation if deviation > 1e-8 else 1.0
        if lacking := [name for name in TARGETS if name not in mean]:
            raise DataError(f"no record has a measured {lacking[0]} to train on. Give one that has.")
        optional = [name for name in mean if name in attributes and name not in ATTRIBUTES]
        return cls(mean, spread, optional, [measured_closure(*record) for record in records])

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in the order a network sees them."""
        return tuple(name for name in self.mean if name not in TARGETS)

    def closure(self, number: int = -1) -> float:
        """The closure of a record's energy balance by its place, or the mean of those that are known. [1]."""
        known = [closure for closure in self.closures if closure is not None]
        own = self.closures[number] if known and number >= 0 else None
        return float(np.mean(known or [1.0])) if own is None else own

    def apply(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Normalized features, time leading.

        Raises:
            DataError: A feature the model was trained with is missing.
        """
        if missing := [name for name in self.features if name not in columns and name not in self.optional]:
            raise DataError(
                f"this record has no {', '.join(missing)}, which the model was trained with.\n"
                "  to go on: give a record that has it, or train a model without it."
            )
        given = [columns.get(name, self.mean[name]) for name in self.features]
        scaled = [(x - self.mean[name]) / self.spread[name] for name, x in zip(self.features, given, strict=True)]
        return np.stack(np.broadcast_arrays(*scaled), axis=-1)


class Series(eqx.Module):
    """A record as a model sees it: inputs, and the targets with what they count: nothing where not measured."""

    inputs: Inputs
    targets: Float[Array, "time target"]
    measured: Bool[Array, "time target"]
    weight: Float[Array, "time target"]

    @classmethod
    def of(
        cls,
        dataset: xr.Dataset,
        scaler: Scaler,
        *,
        prescribed: bool = False,
        weighted: bool = False,
        dtype: Any = None,
    ) -> "Series":
        """Arrays of a canonical dataset; without targets in the dataset nothing counts as measured.

        Args:
            dataset: Canonical dataset with forcing without gaps. [SI]
            scaler: Normalizes the features. [1]
            prescribed: Whether net radiation drives the model in the place of longwave. [1]
            weighted: Whether uncertain targets count less; see `confidence`. [1]
            dtype: Precision; None is JAX's default. [1]

        Raises:
            DataError: A forcing variable is missing or has gaps, or the uncertainty asked for is missing.
        """
        names = (*FORCING, radiation_name(prescribed))
        for name in names:
            require_complete(dataset, name)
        dtype = jnp.zeros(()).dtype if dtype is None else dtype

        def array(values: Any) -> Array:
            return jnp.asarray(np.asarray(values, dtype))

        weather = {name: array(dataset[name].values) for name in FORCING}
        forcing = Forcing(**weather, radiation=array(dataset[radiation_name(prescribed)].values))
        shown = features(dataset, [name for name in RADIATION if name in scaler.mean and name in dataset])
        inputs = Inputs(forcing, array(scaler.apply(shown)), array(dataset.attrs["timestep_s"]))
        none = np.full(dataset.sizes["time"], np.nan)
        seen = [measured(dataset, name) if name in dataset else np.isfinite(none) for name in TARGETS]
        values = [
            np.where(ok, dataset[name].values if name in dataset else none, 0.0)
            for name, ok in zip(TARGETS, seen, strict=True)
        ]
        weights = [confidence(dataset, name) if weighted else np.ones(len(none)) for name in TARGETS]
        return cls(inputs, array(np.stack(values, -1)), jnp.asarray(np.stack(seen, -1)), array(np.stack(weights, -1)))


def confidence(dataset: xr.Dataset, name: str) -> np.ndarray:
    """What each step of a target counts: 1 if it is certain, one half at the median of its random uncertainty.

    The weight is m^2 / (m^2 + s^2), with s the standard uncertainty and m its median; steps without one count 1/2.

    Raises:
        DataError: The record does not have the uncertainty.
    """
    if f"{name}_uncertainty" not in dataset:
        raise DataError(
            f"{dataset.attrs.get('site')}: has no random uncertainty of {name}, which the weights are to follow.\n"
            '  to go on: set weights = "uniform" in [training], or give a file that has it (LE_RANDUNC in FLUXNET).'
        )
    uncertainty = dataset[f"{name}_uncertainty"].values
    median = np.nanmedian(uncertainty)
    return np.where(np.isfinite(uncertainty), median**2 / (median**2 + uncertainty**2), 0.5)


def require_complete(dataset: xr.Dataset, name: str) -> None:
    """Check that a variable is there and has no gap: NaN forcing would spread through the state for good."""
    site = dataset.attrs.get("site", "the record")
    if name not in dataset:
        other = "prescribed" if name == "longwave_down" else "balance"
        hint = f'set radiation = "{other}"' if name in ("longwave_down", "net_radiation") else "add it to the record"
        raise DataError(f"{site}: no {name}, which drives the model.\n  to go on: {hint}.")
    gaps = ~np.isfinite(dataset[name].values)
    if gaps.any():
        first = str(dataset["time"].values[gaps][0])[:16]
        raise DataError(
            f"{site}: {name} is missing at {gaps.sum()} of {len(gaps)} steps, first at {first}.\n"
            "  to go on: fill it with `bowen.data.fill_forcing`, or choose a period without the gap."
        )


def to_dataset(model: AbstractLand, record: Record, like: xr.Dataset, name: str) -> xr.Dataset:
    """What a model told of a series, with units, names and bounds in the attributes.

    Args:
        model: The model that was run; its base parameters give what the offsets move. [1]
        record: Records with a leading time axis. [1]
        like: The dataset that drove the run: its time axis and site. [1]
        name: Name of the model, kept in the attributes. [1]

    Raises:
        ModelError: A value is not finite; the message tells which, when and where.
    """
    time = like["time"]
    variables = described(record.fluxes)
    if record.state is not None:
        variables |= described(record.state)
        warmth = variables.pop("soil_warmth")[1]
        attributes = {"units": "K", "long_name": "Temperature of the soil layers, top down"}
        variables["soil_temperature"] = (("time", "layer"), MELTING_POINT + warmth, attributes)
    if record.offsets:
        variables |= learned_parameters(model, record)
    fraction = np.asarray(record.observed_fraction, float)
    if (fraction != 1.0).any():
        variables.setdefault("parameter_observed_fraction", ("time", fraction, {"units": "1"}))
    attributes = {"site": like.attrs.get("site", ""), "model": name}
    keep = ("latitude", "longitude", "elevation", "igbp", "timestep_s", "utc_offset_hours")
    dataset = xr.Dataset(variables, {"time": time}, attributes | {k: like.attrs[k] for k in keep if k in like.attrs})
    if record.state is not None:
        depth = ("layer", list(LAYER_DEPTH), {"units": "m", "long_name": "Depth of the layer centers"})
        dataset = dataset.assign_coords(layer_depth=depth)
    require_finite(dataset)
    return dataset


def described(module: Any) -> dict[str, tuple]:
    """Variables of a module with a leading time axis, ready for a Dataset."""
    table = {}
    for name, meta in declared(module).items():
        values = np.asarray(getattr(module, name), float)
        attributes = {"units": meta["unit"], "long_name": meta["meaning"]}
        table[name] = (("time", "layer")[: values.ndim], values, attributes)
    return table


def learned_parameters(model: Any, record: Record) -> dict[str, tuple]:
    """Parameters that were learned, through time, with their bounds."""
    moved = jax.vmap(lambda offsets: shift(model.base, offsets))(record.offsets)
    table, variables = declared(model.base), {}
    for name in record.offsets:
        meta = table[name]
        (low, high), default = meta["bounds"], float(getattr(model.base, name))
        attributes = {"units": meta["unit"], "long_name": meta["meaning"], "lower_bound": low, "upper_bound": high}
        attributes |= {"log_scale": int(meta["log"]), "default": default}
        variables[f"parameter_{name}"] = ("time", np.asarray(getattr(moved, name), float), attributes)
    return variables


def require_finite(dataset: xr.Dataset) -> None:
    """Find the first value that is not a number, over all variables."""
    bad = {
        name: ~np.isfinite(values.values.reshape(dataset.sizes["time"], -1)).all(-1) for name, values in dataset.items()
    }
    broken = {name: int(np.argmax(where)) for name, where in bad.items() if where.any()}
    if broken:
        name = min(broken, key=lambda key: broken[key])
        when = str(dataset["time"].values[broken[name]])[:16]
        raise ModelError(
            f"{dataset.attrs['site']}: {dataset.attrs['model']} gave no finite {name} at {when}.\n"
            "  to go on: look at the forcing of that step with `bowen inspect`; "
            "if it is sound, lower the learning rate or train in float64."
        )
