"""The door between the wings: a Dataset becomes the arrays a model runs on, and what a model tells a Dataset again."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Bool, Float

from bowen.data import OBSERVED, RADIATION, WATER, measured
from bowen.data import TURBULENT as TARGETS
from bowen.data.features import FORCING, Scaler, features
from bowen.data.schema import ALMA_NAME, ENERGY_BUDGET, WATER_BUDGET
from bowen.errors import DataError, ModelError
from bowen.land.quantities import apply_logit_offsets, declared_quantities
from bowen.land.variables import Forcing, State
from bowen.models.base import AbstractLandModel, StepOutput
from bowen.models.rollout import Inputs
from bowen.physics.constants import LAYER_DEPTH, MELTING_POINT


def radiation_name(prescribed: bool) -> str:
    """The variable that drives the radiation of the model: incoming longwave, or net radiation where prescribed."""
    return "net_radiation" if prescribed else "longwave_down"


class SiteArrays(eqx.Module):
    """A record as a model sees it: inputs, and the targets with what they count: nothing where not measured."""

    inputs: Inputs
    targets: Float[Array, "time target"]
    measured: Bool[Array, "time target"]
    weight: Float[Array, "time target"]
    names: tuple[str, ...] = eqx.field(static=True, default=TARGETS)  # of the targets

    @classmethod
    def of(
        cls,
        dataset: xr.Dataset,
        scaler: Scaler,
        *,
        net_radiation: str = "computed",
        weighted: bool = False,
        targets: Sequence[str] = TARGETS,
        dtype: Any = None,
    ) -> "SiteArrays":
        """Arrays of a canonical dataset; without targets in the dataset nothing counts as measured.

        Args:
            dataset: Canonical dataset with forcing without gaps. [SI]
            scaler: Normalizes the features. [1]
            net_radiation: Whether net radiation is "computed" from longwave, "measured", or
                "measured_if_available": then the record's attribute `prescribed_radiation` says which of both drives
                the model, and measured net radiation is NaN where longwave does. [1]
            weighted: Whether uncertain fluxes count less; see `confidence`. [1]
            targets: Names of the targets. [1]
            dtype: Precision; None is JAX's default. [1]

        Raises:
            DataError: A forcing variable is missing or has gaps, or the uncertainty asked for is missing.
        """
        is_either = net_radiation == "measured_if_available"
        is_measured = bool(dataset.attrs.get("prescribed_radiation")) if is_either else net_radiation == "measured"
        driver = radiation_name(is_measured)
        names = (*FORCING, driver)
        for name in names:
            require_complete(dataset, name)
        dtype = jnp.zeros(()).dtype if dtype is None else dtype

        def array(values: Any) -> Array:
            return jnp.asarray(np.asarray(values, dtype))

        weather = {name: array(dataset[name].values) for name in FORCING}
        missing = np.full(dataset.sizes["time"], np.nan)
        radiation = {driver: array(dataset[driver].values)}
        if is_either and is_measured:
            radiation["longwave_down"] = array(dataset.get("longwave_down", missing))
        elif is_either:
            radiation["net_radiation"] = array(missing)
        forcing = Forcing(**weather, **radiation)
        shown = features(dataset, [name for name in RADIATION if name in scaler.mean and name in dataset])
        inputs = Inputs(forcing, array(scaler.apply(shown)), array(dataset.attrs["timestep_s"]))
        values, seen, weights = [], [], []
        for name in targets:
            ok = measured(dataset, name) if name in dataset else np.isfinite(missing)
            uncertain = weighted and ok.any() and name not in WATER
            seen.append(ok)
            values.append(np.where(ok, dataset[name].values if name in dataset else missing, 0.0))
            weights.append(uncertainty_weights(dataset, name) if uncertain else np.ones(len(missing)))
        sides = array(np.stack(values, -1)), jnp.asarray(np.stack(seen, -1)), array(np.stack(weights, -1))
        return cls(inputs, *sides, tuple(targets))


def uncertainty_weights(dataset: xr.Dataset, name: str) -> np.ndarray:
    """What each step of a target counts: 1 if it is certain, one half at the median of its random uncertainty.

    The weight is m^2 / (m^2 + s^2), with s the standard uncertainty and m its median; steps without one count 1/2.

    Raises:
        DataError: The record does not have the uncertainty.
    """
    if f"{name}_uncertainty" not in dataset:
        raise DataError(
            f"{dataset.attrs.get('site')}: has no random uncertainty of {name}, which the weights are to follow.\n"
            '  fix: set weights = "uniform" in [training], or give a file that has it (LE_RANDUNC in FLUXNET).'
        )
    uncertainty = dataset[f"{name}_uncertainty"].values
    median = np.nanmedian(uncertainty)
    return np.where(np.isfinite(uncertainty), median**2 / (median**2 + uncertainty**2), 0.5)


def require_complete(dataset: xr.Dataset, name: str) -> None:
    """Check that a variable is there and has no gap: NaN forcing would spread through the state for good."""
    site = dataset.attrs.get("site", "the record")
    if name not in dataset:
        other = "measured" if name == "longwave_down" else "computed"
        hint = (
            f'set net_radiation = "{other}"' if name in ("longwave_down", "net_radiation") else "add it to the record"
        )
        raise DataError(f"{site}: no {name}, which drives the model.\n  fix: {hint}.")
    gaps = ~np.isfinite(dataset[name].values)
    if gaps.any():
        first = str(dataset["time"].values[gaps][0])[:16]
        raise DataError(
            f"{site}: {name} is missing at {gaps.sum()} of {len(gaps)} steps, first at {first}.\n"
            "  fix: fill it with `bowen.data.fill_forcing`, or choose a period without the gap."
        )


def to_dataset(model: AbstractLandModel, record: StepOutput, like: xr.Dataset, name: str) -> xr.Dataset:
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
    variables = described_variables(record.fluxes)
    if record.state is not None:
        variables |= described_variables(record.state)
        dimensions, excess, attributes = variables.pop("soil_temperature_excess")
        attributes |= {"long_name": "Temperature of the soil layers, top down"}
        variables["soil_temperature"] = (dimensions, MELTING_POINT + excess, attributes)
    if record.offsets:
        variables |= learned_parameters(model, record)
    for target, seen in zip(TARGETS, np.asarray(record.observed(), float), strict=True):
        if (seen != np.asarray(getattr(record.fluxes, target))).any():
            story = f"{target.replace('_', ' ').capitalize()} as the tower would report it"
            variables[target + OBSERVED] = ("time", seen, {"units": "W m-2", "long_name": story})
    attributes = {"site": like.attrs.get("site", ""), "model": name}
    keep = ("latitude", "longitude", "elevation", "igbp", "timestep_s", "utc_offset_hours")
    dataset = xr.Dataset(variables, {"time": time}, attributes | {k: like.attrs[k] for k in keep if k in like.attrs})
    if record.state is not None:
        depth = ("layer", list(LAYER_DEPTH), {"units": "m", "long_name": "Depth of the layer centers"})
        dataset = dataset.assign_coords(layer_depth=depth)
    require_finite(dataset)
    return dataset


def described_variables(module: Any) -> dict[str, tuple]:
    """Return the variables of a module with a leading time axis, ready for a Dataset.

    Their attributes say what the declarations do: unit, meaning, names in CF and ALMA, and the part in the budgets.
    """
    table = {}
    for name, meta in declared_quantities(module).items():
        values = np.asarray(getattr(module, name), float)
        method = meta["cell_method"] or ("point" if isinstance(module, State) else "mean")
        attributes = {
            "units": meta["unit"],
            "long_name": meta["meaning"],
            "cell_methods": f"time: {method}",
            "standard_name": meta["standard_name"],
            ALMA_NAME: meta["alma"],
            WATER_BUDGET: meta["water"],
            ENERGY_BUDGET: meta["energy"],
        }
        attributes = {key: value for key, value in attributes.items() if value}
        table[name] = (("time", "layer")[: values.ndim], values, attributes)
    return table


def learned_parameters(model: Any, record: StepOutput) -> dict[str, tuple]:
    """Parameters that were learned, through time, with their bounds."""
    moved = jax.vmap(lambda offsets: apply_logit_offsets(model.base, offsets))(record.offsets)
    table, variables = declared_quantities(model.base), {}
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
            "  fix: look at the forcing of that step with `bowen inspect`; "
            "if it is sound, lower the learning rate or train in float64."
        )
