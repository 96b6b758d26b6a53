"""Declarations of quantities (unit, meaning, bounds, part in budgets), and moves of parameters within bounds."""

import dataclasses
import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp

from bowen.numerics.array_types import Scalar

Role = Literal["dynamic", "static", "fixed"]


def as_float(value: Any) -> Any:
    """Make an array of the default float type; None and floating arrays of any precision stay as they are."""
    if value is None or (hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jnp.floating)):
        return value
    return jnp.asarray(value, float)


def quantity(
    unit: str,
    meaning: str,
    *,
    bounds: tuple[float, float] | None = None,
    log: bool = False,
    role: Role = "fixed",
    start: float | None = None,
    alma: str = "",
    standard_name: str = "",
    cell_method: str = "",
    water: Literal["", "store", "source", "sink"] = "",
    energy: Literal["", "source", "sink"] = "",
    ice: float = 0.0,
    initial: float | Callable[..., Any] = 0.0,
    draw: tuple[float, float] = (0.0, 100.0),
    valid_range: tuple[float, float] = (-math.inf, math.inf),
    **field: Any,
) -> Any:
    """Declare a field of a pytree: its unit and meaning, how it may be learned, and its part in files and budgets.

    Args:
        unit: UDUNITS string. [1]
        meaning: One phrase; it becomes the long name in files and tables. [1]
        bounds: Open interval a learned value stays in. [unit]
        log: Whether learning moves the logarithm of the value. [1]
        role: "dynamic" may change at every step, "static" is one number a site, "fixed" is not learned. [1]
        start: Where learning begins when the default sits on a bound (a correction that is off). [unit]
        alma: Name in files, if the ALMA convention has one. [1]
        standard_name: Name in the CF table of standard names, if it has one. [1]
        cell_method: CF's cell method over time where it is not that of its class: "mean" of fluxes, "point" of
            states, which belong to the end of the step. [1]
        water: Part in the water budget: a store that is no part of another, or a flux into or out of the column. [1]
        energy: Part in the energy budget of the surface. [1]
        ice: Share of it that is ice, whose heat of fusion is owed; -1 for liquid that another state counts as ice. [1]
        initial: Value to spin up from, or a function of parameters and mean air temperature that gives it. [unit]
        draw: Range of a state that random tests draw from. [unit]
        valid_range: Range of a state that nature allows; a simulation that leaves it is refused. [unit]
        field: Passed on to `equinox.field`, such as `default`. [1]
    """
    metadata = dict(unit=unit, meaning=meaning, bounds=bounds, log=log, role=role, start=start)
    metadata |= dict(alma=alma, standard_name=standard_name, cell_method=cell_method)
    metadata |= dict(water=water, energy=energy, ice=ice, initial=initial, draw=draw, valid_range=valid_range)
    return eqx.field(converter=as_float, metadata=metadata, **field)


def declared_quantities(module: Any) -> dict[str, Mapping[str, Any]]:
    """Map the name of each declared quantity to its metadata, default included.

    Args:
        module: A module class or instance, or a tuple of several.
    """
    if isinstance(module, tuple):
        return {name: meta for each in module for name, meta in declared_quantities(each).items()}
    return {
        field.name: {**field.metadata, "default": field.default}
        for field in dataclasses.fields(module)
        if "unit" in field.metadata
    }


def quantity_value(module: Any, name: str) -> Scalar:
    """Return the value of a quantity of a module, or of the one in a tuple of modules that declares it."""
    owner = next(each for each in module if hasattr(each, name)) if isinstance(module, tuple) else module
    return getattr(owner, name)


def names_with(module: Any, role: str, part: str) -> list[str]:
    """Return the names of the declared quantities with a part in a budget, such as ("water", "store")."""
    return [name for name, declared in declared_quantities(module).items() if declared[role] == part]


def check_learnable(module: Any, names: Sequence[str], role: Role) -> None:
    """Check that the named quantities may be learned in the given role.

    Args:
        module: A module class or instance, or a tuple of several.
        names: Of the quantities.
        role: "dynamic" or "static".

    Raises:
        ValueError: A name is unknown, or its role forbids it; the message lists the possible ones.
    """
    table = declared_quantities(module)
    allowed = [name for name, meta in table.items() if meta["role"] == "dynamic" or meta["role"] == role != "fixed"]
    for name in names:
        if name in allowed:
            continue
        why = "is not a parameter" if name not in table else f"cannot be {role}"
        if name in table and table[name]["role"] == "static":
            why += ": a storage coefficient or a site constant that changes in time would create energy or water"
        near = [] if name in table else difflib.get_close_matches(name, allowed)
        meant = f" Did you mean {' or '.join(f'`{known}`' for known in near)}?" if near else ""
        raise ValueError(f"`{name}` {why}.{meant} Parameters that can be {role}: {', '.join(allowed)}.")


def move_off_bounds(module: Any, names: Sequence[str]) -> Any:
    """Move the named quantities that sit on or beyond a bound to where learning can begin; no other bit changes.

    Args:
        module: Holds the quantities: a module, or a tuple of several.
        names: Of the quantities.
    """
    if isinstance(module, tuple):
        return tuple(move_off_bounds(each, [name for name in names if hasattr(each, name)]) for each in module)
    table = declared_quantities(module)

    def start_value(name: str) -> Scalar:
        (low, high), value, start = table[name]["bounds"], getattr(module, name), table[name]["start"]
        if start is None:
            edge = 0.01
            margin = (low * (high / low) ** edge, high * (low / high) ** edge) if table[name]["log"] else None
            start = jnp.clip(value, *(margin or (low + edge * (high - low), high - edge * (high - low))))
        return jnp.where((value > low) & (value < high), value, start)

    return dataclasses.replace(module, **{name: start_value(name) for name in names})


def apply_logit_offsets(module: Any, offsets: Mapping[str, Scalar]) -> Any:
    r"""Move quantities by offsets in logit space: they stay within bounds, and a zero offset changes no bit.

    With $f$ the place of the value between its bounds (of the logarithm, where so declared), the new place is
    $f + f(1-f)\,m/(1+f\,m)$, $m = e^{o} - 1$, which is the logistic of logit$(f)$ + o without the logit.

    Args:
        module: Holds the quantities: a module, or a tuple of several. [1]
        offsets: Offset by name. [1]
    """
    if isinstance(module, tuple):
        owned = [{name: offset for name, offset in offsets.items() if hasattr(each, name)} for each in module]
        return tuple(map(apply_logit_offsets, module, owned))
    table = declared_quantities(module)

    def moved(name: str, offset: Scalar) -> Scalar:
        low, high = table[name]["bounds"]
        value, growth = getattr(module, name), jnp.expm1(jnp.clip(offset, -20.0, 20.0))
        if table[name]["log"]:
            span = jnp.log(high / low)
            fraction = jnp.log(value / low) / span
            after = value * jnp.exp(span * (fraction * (1.0 - fraction) * growth / (1.0 + fraction * growth)))
        else:
            fraction = (value - low) / (high - low)
            after = value + (high - low) * (fraction * (1.0 - fraction) * growth / (1.0 + fraction * growth))
        return jnp.clip(after, low, high)  # rounding may step over a bound that an extreme offset has reached

    return dataclasses.replace(module, **{name: moved(name, offset) for name, offset in offsets.items()})
