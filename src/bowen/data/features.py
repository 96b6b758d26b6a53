"""Input features of networks, computed from a record and scaled to order one."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import xarray as xr

from bowen.data.checks.energy_closure import compute_closure_fraction
from bowen.data.checks.water_balance import compute_aridity
from bowen.data.quality_flags import is_measured, list_measured_targets
from bowen.data.schema import TURBULENT
from bowen.errors import DataError

FEATURE_FORCING = (
    "shortwave_down",
    "air_temperature",
    "specific_humidity",
    "air_pressure",
    "wind_speed",
    "precipitation",
)
MEMORY_DAYS = (1.0, 10.0, 30.0)  # half-lives of running means, for seasons beyond the memory of the network
# Traits of the vegetation by IGBP class: 1 where a class has it, -1 where it has the opposite, 0 for mixtures.
TRAITS: Mapping[str, tuple[float, Mapping[str, float]]] = {  # value of the classes not named, and of those named
    "evergreen": (0.0, {"ENF": 1.0, "EBF": 1.0, "DNF": -1.0, "DBF": -1.0}),
    "broadleaf": (0.0, {"EBF": 1.0, "DBF": 1.0, "ENF": -1.0, "DNF": -1.0}),
    "cropland": (-1.0, {"CRO": 1.0, "CVM": 0.0}),
    "wetland": (-1.0, {"WET": 1.0}),
}
# Site attributes scaled to order one by the towers of FLUXNET2015, because a single tower has no spread.
ATTRIBUTES: Mapping[str, Callable[[float], float]] = {
    "latitude": lambda north: (north - 40.0) / 20.0,
    "elevation": lambda above_sea: (above_sea - 500.0) / 600.0,
    "canopy_height": lambda tall: (
        np.log1p(tall) - 1.9
    ),  # the logarithm keeps sites with tall canopies close to the training sites
    "aridity_log": lambda ratio: ratio / 0.7,
    **dict.fromkeys(TRAITS, lambda trait: trait),
}
MIN_ARIDITY = 0.125  # limit of Holdridge's life zones
TYPICAL_DEFICIT = 600.0  # Pa, a mean vapor pressure deficit between those of humid and dry sites
CLOSURE_PENALTY = 3.0  # of the ridge regression of closure, in units of squared predictors


def compute_features(dataset: xr.Dataset, radiation: Sequence[str]) -> dict[str, np.ndarray]:
    """Compute the features of weather and site; none depends on the hour or the day of the year.

    Args:
        dataset: Canonical dataset with gap-free forcing. [1]
        radiation: Radiation features in addition to shortwave: "longwave_down", "net_radiation", or both. [1]
    """
    frame = dataset[[*FEATURE_FORCING, "vapor_pressure_deficit", *radiation]].to_dataframe()
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
    site = {name: np.full(len(frame), value) for name, value in compute_site_attributes(dataset).items()}
    return {name: np.asarray(values, float) for name, values in (now | past | site).items()}


def compute_site_attributes(dataset: xr.Dataset) -> dict[str, float]:
    """Compute the known attributes of a site, scaled to order one, by name."""
    aridity = np.nan_to_num(np.log(np.maximum(compute_aridity(dataset), MIN_ARIDITY)))
    igbp = str(dataset.attrs.get("igbp"))
    traits = {name: named.get(igbp, other) for name, (other, named) in TRAITS.items()}
    known = {**dataset.attrs, "aridity_log": aridity, **traits}
    return {
        name: float(of_order_one(known[name]))
        for name, of_order_one in ATTRIBUTES.items()
        if np.isfinite(known.get(name, np.nan))
    }


def compute_closure_predictors(dataset: xr.Dataset) -> tuple[float, float]:
    """Compute what the energy balance closure of a site depends on: dryness of the air, and broad leaves. [1]."""
    dryness = float(np.log(max(float(dataset["vapor_pressure_deficit"].mean()), 1.0) / TYPICAL_DEFICIT))
    return dryness, compute_site_attributes(dataset)["broadleaf"]


def fit_closure(closures: Sequence[float | None], predictors: Sequence[Sequence[float]]) -> list[float]:
    """Fit the energy balance closure of a site that was not trained on, by ridge regression.

    Towers close better in dry air, and worse over broadleaf forests. At 51 sites with net radiation, each predicted
    from the others, the error is 0.079 (root mean square) instead of 0.084 by their mean.

    Args:
        closures: Of each record; None where it is not known.
        predictors: Of each record; see `compute_closure_predictors`.

    Returns:
        Intercept, then the weight of each predictor; empty without a known closure.
    """
    known = np.array([closure is not None for closure in closures], bool)
    if not known.any():
        return []
    values = np.array([closure for closure in closures if closure is not None], float)
    table = np.array(predictors, float)[known]
    center = table.mean(axis=0)
    apart = table - center
    strength = CLOSURE_PENALTY * np.eye(apart.shape[1])
    weights = np.linalg.solve(apart.T @ apart + strength, apart.T @ (values - values.mean()))
    return [float(values.mean() - center @ weights), *map(float, weights)]


@dataclasses.dataclass(frozen=True)
class Scaler:
    """Mean and standard deviation of features and targets over the training steps, stored with the model."""

    mean: Mapping[str, float]
    spread: Mapping[str, float]
    optional: Sequence[str] = ()  # features that some records lack; the mean replaces them
    closures: Sequence[float | None] = ()  # energy balance closure of each record, if known
    closure_weights: Sequence[float] = ()  # of the closure of other records: see `fit_closure`

    @classmethod
    def fit(
        cls, records: Iterable[tuple[xr.Dataset, np.ndarray]], radiation: Sequence[str], attributes: Sequence[str] = ()
    ) -> "Scaler":
        """Fit to the features that all records have; records have equal weight, whatever their length.

        Leaf area, if it is among the attributes, may be missing in some records; the mean replaces it.

        Args:
            records: Canonical datasets, each with its training steps; targets count where they were measured. [1]
            radiation: See `compute_features`. [1]
            attributes: Site attributes from `ATTRIBUTES`, or "leaf_area_index". [1]

        Raises:
            DataError: A flux was measured in no record, unless runoff or snow was, or at fewer than 48 training steps
                of a record.
        """
        tables, closures, predictors, measured = [], [], [], set()
        for dataset, train in records:
            columns = {name: values[train] for name, values in compute_features(dataset, radiation).items()}
            for name in TURBULENT:
                if name not in dataset or not is_measured(dataset, name).any():
                    continue
                columns[name] = dataset[name].values[train & is_measured(dataset, name)]
                if len(columns[name]) < 48:
                    raise DataError(
                        str(dataset.attrs.get("site")),
                        f"only {len(columns[name])} measured training steps of {name}",
                        fix="choose another split; `bowen inspect` shows which steps were measured",
                    )
            tables.append({name: (values.mean(), values.var()) for name, values in columns.items()})
            closures.append(compute_closure_fraction(dataset, train))
            predictors.append(compute_closure_predictors(dataset))
            measured |= {*list_measured_targets(dataset)}
        mean, spread = {}, {}
        for name in dict.fromkeys(name for table in tables for name in table):
            known = [table[name] for table in tables if name in table]
            if name in ATTRIBUTES:
                if name in attributes:
                    mean[name], spread[name] = 0.0, 1.0
            elif len(known) == len(tables) or name in (*TURBULENT, *attributes):
                mean[name] = float(np.mean([middle for middle, _ in known]))
                deviation = float(np.sqrt(np.mean([within + (middle - mean[name]) ** 2 for middle, within in known])))
                spread[name] = deviation if deviation > 1e-8 else 1.0
        missing = [name for name in TURBULENT if name not in mean]
        if missing and not (len(missing) == len(TURBULENT) and measured):
            raise DataError("training records", f"none has measured {missing[0]}", fix="add a record that has it")
        optional = [name for name in mean if name in attributes and name not in ATTRIBUTES]
        return cls(mean, spread, optional, closures, fit_closure(closures, predictors))

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in the order of the network inputs."""
        return tuple(name for name in self.mean if name not in TURBULENT)

    def closure(self, number: int, dataset: xr.Dataset) -> float:
        """Return the energy balance closure of a record by its position, or the one to expect of its site. [1]."""
        known = [closure for closure in self.closures if closure is not None]
        own = self.closures[number] if known and number >= 0 else None
        if own is not None:
            return own
        if not known or not self.closure_weights:
            return float(np.mean(known or [1.0]))
        expected = np.dot(self.closure_weights, [1.0, *compute_closure_predictors(dataset)])
        return float(np.clip(expected, min(known), max(known)))

    def apply(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the normalized features, with time as the leading axis.

        Raises:
            DataError: A feature used in training is missing.
        """
        if missing := [name for name in self.features if name not in columns and name not in self.optional]:
            raise DataError(
                "the record",
                f"has no {', '.join(missing)}, which the model was trained with",
                fix="pass a record that has it, or train a model without it",
            )
        given = [columns.get(name, self.mean[name]) for name in self.features]
        scaled = [(x - self.mean[name]) / self.spread[name] for name, x in zip(self.features, given, strict=True)]
        return np.stack(np.broadcast_arrays(*scaled), axis=-1)
