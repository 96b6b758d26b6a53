"""What a network sees of a record, in numbers of order one."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import xarray as xr

from bowen.data import TURBULENT as TARGETS
from bowen.data import aridity, measured, measured_closure, targets_measured
from bowen.errors import DataError

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
    site = {name: np.full(len(frame), value) for name, value in site_attributes(dataset).items()}
    return {name: np.asarray(values, float) for name, values in (now | past | site).items()}


def site_attributes(dataset: xr.Dataset) -> dict[str, float]:
    """What is known of a site, in numbers of order one, by name."""
    known = {**dataset.attrs, "aridity_log": np.nan_to_num(np.log(np.maximum(aridity(dataset), LEAST_ARIDITY)))}
    return {
        name: float(of_order_one(known[name]))
        for name, of_order_one in ATTRIBUTES.items()
        if np.isfinite(known.get(name, np.nan))
    }


@dataclasses.dataclass(frozen=True)
class Scaler:
    """Mean and spread of features and targets over the training steps: fitted once, then part of the model."""

    mean: Mapping[str, float]
    spread: Mapping[str, float]
    optional: Sequence[str] = ()  # features that not all records had; elsewhere they are as in the mean
    closures: Sequence[float | None] = ()  # of the energy balance of each record, where it is known

    @classmethod
    def fit(
        cls, records: Iterable[tuple[xr.Dataset, np.ndarray]], radiation: Sequence[str], attributes: Sequence[str] = ()
    ) -> "Scaler":
        """Fit to the features that all records have; each record counts the same, however long it is.

        Leaf area, if it is among the attributes, need not be known everywhere; where it is not, it is the mean.

        Args:
            records: Of each a canonical dataset, and whether a step is for training; targets count where measured. [1]
            radiation: See `features`. [1]
            attributes: Of the site, among `ATTRIBUTES`, or "leaf_area_index". [1]

        Raises:
            DataError: A flux was measured in no record, but for those of runoff and snow alone, or in one, but at
                fewer than 48 of its training steps.
        """
        tables, closures, told = [], [], set()
        for dataset, train in records:
            columns = {name: values[train] for name, values in features(dataset, radiation).items()}
            for name in TARGETS:
                if name not in dataset or not measured(dataset, name).any():
                    continue
                columns[name] = dataset[name].values[train & measured(dataset, name)]
                if len(columns[name]) < 48:
                    raise DataError(
                        f"{dataset.attrs.get('site')}: only {len(columns[name])} measured steps of {name} to train "
                        "on.\n  fix: choose another split, or run `bowen inspect` to see what was measured when."
                    )
            tables.append({name: (values.mean(), values.var()) for name, values in columns.items()})
            closures.append(measured_closure(dataset, train))
            told |= {*targets_measured(dataset)}
        mean, spread = {}, {}
        for name in dict.fromkeys(name for table in tables for name in table):
            known = [table[name] for table in tables if name in table]
            if name in ATTRIBUTES:
                if name in attributes:
                    mean[name], spread[name] = 0.0, 1.0
            elif len(known) == len(tables) or name in (*TARGETS, *attributes):
                mean[name] = float(np.mean([middle for middle, _ in known]))
                deviation = float(np.sqrt(np.mean([within + (middle - mean[name]) ** 2 for middle, within in known])))
                spread[name] = deviation if deviation > 1e-8 else 1.0
        lacking = [name for name in TARGETS if name not in mean]
        if lacking and not (len(lacking) == len(TARGETS) and told):
            raise DataError(f"no record has a measured {lacking[0]} to train on. Give one that has.")
        optional = [name for name in mean if name in attributes and name not in ATTRIBUTES]
        return cls(mean, spread, optional, closures)

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
                "  fix: give a record that has it, or train a model without it."
            )
        given = [columns.get(name, self.mean[name]) for name in self.features]
        scaled = [(x - self.mean[name]) / self.spread[name] for name, x in zip(self.features, given, strict=True)]
        return np.stack(np.broadcast_arrays(*scaled), axis=-1)
