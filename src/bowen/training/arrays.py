"""The only door between xarray and JAX: a dataset becomes the arrays of a model, and its output a dataset again."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Bool, Float

from bowen.data import OBSERVED, RADIATION, WATER, has_net_radiation, is_measured
from bowen.data import TURBULENT as TARGETS
from bowen.data.features import FEATURE_FORCING, Scaler, compute_features
from bowen.data.schema import ALMA_NAME, ENERGY_BUDGET, SCHEMA, WATER_BUDGET
from bowen.errors import DataError, ModelError
from bowen.land.quantities import apply_logit_offsets, declared_quantities, quantity_value
from bowen.land.variables import Forcing, State, find_invalid_state
from bowen.models.base import AbstractLandModel, StepOutput
from bowen.models.rollout import Inputs
from bowen.physics.constants import LAYER_DEPTH, MELTING_POINT


def radiation_name(is_net_measured: bool) -> str:
    """Name the radiation that drives the model: incoming longwave, or net radiation where the measured one does."""
    return "net_radiation" if is_net_measured else "longwave_down"


class SiteArrays(eqx.Module):
    """Arrays of a record: inputs, and targets with their weights."""

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
        """Convert a canonical dataset; targets that it lacks count as not measured.

        Args:
            dataset: Canonical dataset with forcing without gaps. [SI]
            scaler: Normalizes the features. [1]
            net_radiation: Whether net radiation is "computed" from longwave, "measured", or "measured_if_available":
                then it is NaN at the steps where the record does not have it and longwave drives the model. [1]
            weighted: Whether uncertain fluxes count less; see `confidence`. [1]
            targets: Names of the targets. [1]
            dtype: Precision; None is JAX's default. [1]

        Raises:
            DataError: A forcing variable is missing or has gaps, or the uncertainty asked for is missing.
        """
        driver = radiation_name(net_radiation == "measured")
        names = (*FEATURE_FORCING, driver)
        for name in names:
            require_complete(dataset, name)
        dtype = jnp.zeros(()).dtype if dtype is None else dtype

        def array(values: Any) -> Array:
            return jnp.asarray(np.asarray(values, dtype))

        weather = {name: array(dataset[name].values) for name in FEATURE_FORCING}
        missing = np.full(dataset.sizes["time"], np.nan)
        radiation = {driver: array(dataset[driver].values)}
        if net_radiation == "measured_if_available":
            known = has_net_radiation(dataset) if "net_radiation" in dataset else np.isfinite(missing)
            radiation["net_radiation"] = array(np.where(known, dataset.get("net_radiation", missing), np.nan))
        forcing = Forcing(**weather, **radiation)
        shown = compute_features(dataset, [name for name in RADIATION if name in scaler.mean and name in dataset])
        inputs = Inputs(forcing, array(scaler.apply(shown)), array(dataset.attrs["timestep_s"]))
        values, seen, weights = [], [], []
        for name in targets:
            ok = is_measured(dataset, name) if name in dataset else np.isfinite(missing)
            uncertain = weighted and ok.any() and name not in WATER
            seen.append(ok)
            values.append(np.where(ok, dataset[name].values if name in dataset else missing, 0.0))
            weights.append(uncertainty_weights(dataset, name) if uncertain else np.ones(len(missing)))
        sides = array(np.stack(values, -1)), jnp.asarray(np.stack(seen, -1)), array(np.stack(weights, -1))
        return cls(inputs, *sides, tuple(targets))


def uncertainty_weights(dataset: xr.Dataset, name: str) -> np.ndarray:
    """Compute the weight of each step of a target: 1 if it is certain, one half at the median random uncertainty.

    The weight is m^2 / (m^2 + s^2), with s the standard uncertainty and m its median; steps without one count 1/2.

    Raises:
        DataError: The record does not have the uncertainty.
    """
    if f"{name}_uncertainty" not in dataset:
        raise DataError(
            str(dataset.attrs.get("site")),
            f"has no random uncertainty of {name}, which the weights depend on",
            fix='set weights = "uniform" in [training], or give a file that has it (LE_RANDUNC in FLUXNET)',
        )
    uncertainty = dataset[f"{name}_uncertainty"].values
    median = np.nanmedian(uncertainty)
    return np.where(np.isfinite(uncertainty), median**2 / (median**2 + uncertainty**2), 0.5)


def require_complete(dataset: xr.Dataset, name: str) -> None:
    """Check that a variable is there and has no gap: NaN in the forcing would stay in the state for good."""
    site = dataset.attrs.get("site", "the record")
    if name not in dataset:
        other = "measured" if name == "longwave_down" else "computed"
        is_radiation = name in ("longwave_down", "net_radiation")
        hint = f'set net_radiation = "{other}" in [data]' if is_radiation else "add it to the record"
        raise DataError(site, f"no {name}, which drives the model", fix=hint)
    gaps = ~np.isfinite(dataset[name].values)
    if gaps.any():
        first = str(dataset["time"].values[gaps][0])[:16]
        raise DataError(
            site,
            f"{name} is missing at {gaps.sum()} of {len(gaps)} steps, first at {first}",
            fix="fill it with `fill_forcing`, or choose a period without the gap",
        )


def to_dataset(model: AbstractLandModel, record: StepOutput, like: xr.Dataset, name: str) -> xr.Dataset:
    """Convert the output of a model for a series to a dataset, with units, names and bounds in the attributes.

    Args:
        model: The model that was run; its base parameters give what the offsets move. [1]
        record: Records with a leading time axis. [1]
        like: The dataset that drove the run: its time axis and site. [1]
        name: Name of the model, kept in the attributes. [1]

    Raises:
        ModelError: A value is not finite, or a state is outside its valid range; the message names the variable, time
            and site.
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
    if record.state is not None:
        require_valid_states(record.state, dataset, like)
    return dataset


def described_variables(module: Any) -> dict[str, tuple]:
    """Describe the quantities of a module as variables of a dataset, time leading.

    Their attributes are those of the declarations: unit, meaning, names in CF and ALMA, and the part in the budgets.
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
    """Describe the learned parameters as variables of a dataset, with their bounds."""
    base = model.land, model.tower
    moved = jax.vmap(lambda offsets: apply_logit_offsets(base, offsets))(record.offsets)
    table, variables = declared_quantities(base), {}
    for name in record.offsets:
        meta = table[name]
        (low, high), default = meta["bounds"], float(quantity_value(base, name))
        attributes = {"units": meta["unit"], "long_name": meta["meaning"], "lower_bound": low, "upper_bound": high}
        attributes |= {"log_scale": int(meta["log"]), "default": default}
        variables[f"parameter_{name}"] = ("time", np.asarray(quantity_value(moved, name), float), attributes)
    return variables


def require_finite(dataset: xr.Dataset) -> None:
    """Check that every value is finite.

    Raises:
        ModelError: One is not; the message names the first.
    """
    bad = {
        name: ~np.isfinite(values.values.reshape(dataset.sizes["time"], -1)).all(-1) for name, values in dataset.items()
    }
    broken = {name: int(np.argmax(where)) for name, where in bad.items() if where.any()}
    if broken:
        name = min(broken, key=lambda key: broken[key])
        when = str(dataset["time"].values[broken[name]])[:16]
        raise ModelError(
            dataset.attrs["site"],
            f"{dataset.attrs['model']} gave no finite {name} at {when}",
            fix="look at the forcing of that step with `bowen inspect`; if it is sound, lower the learning rate or use "
            "float64",
        )


def require_valid_states(state: State, simulation: xr.Dataset, record: xr.Dataset) -> None:
    """Check that every state is within the range that nature allows: a closed budget does not make it a result.

    Args:
        state: States with a leading time axis.
        simulation: The dataset made of them.
        record: The dataset that drove the run.

    Raises:
        ModelError: A state is not; the message has the first, the weather of its step, and its likely cause.
    """
    found = find_invalid_state(state)
    if found is None:
        return
    low, high = found.valid_range
    when = str(simulation["time"].values[found.index])[:16]
    raise ModelError(
        simulation.attrs["site"],
        f"{simulation.attrs['model']} gave {found.name} of {found.value:.6g} {found.unit} at {when}, outside the "
        f"{low:g} to {high:g} {found.unit} that nature allows",
        details=explain_state(found.index, simulation, record),
        fix="look at the record up to that step with `bowen inspect`; if it is sound, correct the likely cause, or "
        "train again with a lower learning rate",
    )


def explain_state(index: int, simulation: xr.Dataset, record: xr.Dataset) -> dict[str, str]:
    """Describe the weather of a step, and the likely cause of a state that nature does not allow, by label.

    Causes are, in this order: weather outside its valid range, learned parameters within a hundredth of a bound,
    measured net radiation, the state before the first step.
    """
    names = [name for name in (*FEATURE_FORCING, *RADIATION) if name in record]
    weather = {name: float(record[name].values[index]) for name in names}
    shown = {name: f"{name} {value:.4g} {SCHEMA[name].units}" for name, value in weather.items()}
    causes = []
    for name, value in weather.items():
        low, high = SCHEMA[name].valid_range
        causes += [] if low <= value <= high else [f"{name} is outside {low:g} to {high:g}"]
    for name, variable in simulation.items():
        if "lower_bound" in variable.attrs and str(name).startswith("parameter_"):
            ends = variable.attrs["lower_bound"], float(variable.values[index]), variable.attrs["upper_bound"]
            low, place, high = np.log(ends) if variable.attrs["log_scale"] else ends
            is_inside = 0.01 < (place - low) / (high - low) < 0.99
            learned = str(name).removeprefix("parameter_")
            causes += [] if is_inside else [f"learned {learned} of {ends[1]:.4g} is at a bound"]
    if "longwave_down" not in weather and "net_radiation" in weather:
        causes.append("net radiation is measured, so the surface cannot cool by emitting more")
    if not causes:
        causes = ["the spin-up led to it" if index == 0 else "the parameters of the site, or weather before this step"]
    details = {"weather": ", ".join(shown.values())} if shown else {}
    return details | {"likely cause": "; ".join(causes)}
