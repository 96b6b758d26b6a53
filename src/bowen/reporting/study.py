"""What a report is about: a record, the models run on it, and the views of them that figures and tables share."""

import dataclasses
import functools
import itertools
from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from bowen.data.quality_flags import is_measured
from bowen.data.schema import WATER_BUDGET
from bowen.data.time_axis import find_runs
from bowen.errors import DataError
from bowen.evaluation.scores import (
    TARGETS,
    audit_budgets,
    check_axes,
    check_columns,
    has_budgets,
    select_pairs,
    step_seconds,
    variables_in_budget,
)
from bowen.evaluation.subsets import ALL

KNOWN_MODELS = ("calibrated LaD", "hybrid", "LSTM")
MODEL_COLORS = 5
LONGEST_DAILY_RECORD = 1200


@dataclasses.dataclass(frozen=True)
class Study:
    """A record, its simulations by model name, the label of each step, the scores and the training histories."""

    observed: xr.Dataset
    simulations: Mapping[str, xr.Dataset]
    split: np.ndarray
    scores: pd.DataFrame
    history: Mapping[str, pd.DataFrame]

    def __post_init__(self) -> None:
        """Refuse what cannot be laid side by side."""
        if not self.simulations:
            raise DataError("A report needs at least one simulation.\n  fix: pass {model name: simulation}.")
        for model, simulation in self.simulations.items():
            check_axes(simulation, self.observed, self.split, model)
            if missing := [target for target in self.targets if target not in simulation]:
                raise DataError(
                    f"{model}: the simulation has no {', '.join(missing)}, which the record has."
                    "\n  fix: add it to the simulation, or drop it from the record."
                )
        check_columns(self.scores, "scores of the report")

    @property
    def time(self) -> pd.DatetimeIndex:
        """Start of each step."""
        return pd.DatetimeIndex(self.observed.time.values)

    @property
    def hours(self) -> np.ndarray:
        """Hour of the day in the middle of each step."""
        return (self.time - self.time.normalize()).to_numpy() / np.timedelta64(1, "h") + self.step / 7200

    @property
    def step(self) -> float:
        """Length of a step in seconds."""
        return step_seconds(self.observed)

    @property
    def site(self) -> str:
        """Name of the tower."""
        return str(self.observed.attrs.get("site", "this tower"))

    @property
    def targets(self) -> list[str]:
        """The turbulent fluxes that the record holds."""
        return [target for target in TARGETS if target in self.observed]

    @property
    def colors(self) -> dict[str, str]:
        """The name of each model's color, the same in every report for the models we know."""
        names = [f"model-{number}" for number in range(1, MODEL_COLORS + 1)]
        train_as_unseen = [model for model in self.simulations if model not in KNOWN_MODELS]
        return dict(zip(KNOWN_MODELS, names, strict=False)) | dict(
            zip(train_as_unseen, itertools.cycle(names[len(KNOWN_MODELS) :]), strict=False)
        )

    @property
    def physical(self) -> dict[str, xr.Dataset]:
        """The simulations that have parameters or states."""
        return {model: data for model, data in self.simulations.items() if parameter_names(data) or has_states(data)}

    @property
    def principal(self) -> str:
        """The physical model whose states are drawn where there is room for one: the last."""
        return list(self.physical)[-1]

    @property
    def budgets(self) -> dict[str, dict]:
        """The audit of each model that keeps whole budgets."""
        return {model: audit_budgets(data) for model, data in self.simulations.items() if has_budgets(data)}

    @property
    def held_out(self) -> np.ndarray:
        """Test steps, or every labeled step where none is for testing."""
        test = self.split == "test"
        return test if test.any() else self.split != ""

    @property
    def held_out_name(self) -> str:
        """What `held_out` is called in a caption."""
        return "test blocks" if (self.split == "test").any() else "whole record"

    @property
    def warm_season(self) -> np.ndarray:
        """Steps in the three warmest months of the site's hemisphere."""
        months = (6, 7, 8) if self.observed.attrs.get("latitude", 0.0) >= 0 else (12, 1, 2)
        return np.isin(self.time.month, months)

    @property
    def days(self) -> int:
        """Days to a mean when the whole record is drawn: one, or seven where single days would not be seen."""
        return 1 if len(self.time) * self.step / 86400 <= LONGEST_DAILY_RECORD else 7

    @property
    def period(self) -> str:
        """What so many days are called."""
        return "day" if self.days == 1 else "week"

    @property
    def mean_name(self) -> str:
        """What means over them are called."""
        return "daily means" if self.days == 1 else "weekly means"

    @functools.cached_property
    def values(self) -> dict[tuple[str, ...], float]:
        """The scores of all steps by model, split, variable, resolution and metric."""
        names = ["model", "split", "variable", "resolution", "metric"]
        scores = self.scores.loc[self.scores["subset"] == ALL]
        return dict(zip(scores[names].itertuples(index=False, name=None), scores["value"], strict=True))

    def score(self, model: str, target: str, metric: str, split: str = "test", resolution: str = "native") -> float:
        """Return a score, NaN where there is none."""
        return self.values.get((model, split, target, resolution, metric), np.nan)

    def compared(self, model: str, target: str, keep: np.ndarray) -> xr.Dataset:
        """Pair a model with the measured ones of the steps to keep."""
        return select_pairs(
            self.simulations[model], self.observed, target, keep & is_measured(self.observed, target), model=model
        )

    def folded(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cut a series into whole days, or weeks where the record is long: their first steps, and a row for each."""
        length = round(self.days * 86400 / self.step)
        first = int(np.argmax(self.time == self.time.normalize()))
        last = first + (len(values) - first) // length * length
        return self.time[first:last:length].to_numpy(), values[first:last].reshape(-1, length)

    def means(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Average a series over whole days, or weeks where the record is long."""
        start, rows = self.folded(values)
        return start, rows.mean(axis=1)

    def test_spans(self) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
        """Return start and end of each run of test steps."""
        ends = self.time.append(pd.DatetimeIndex([self.time[-1] + pd.Timedelta(seconds=self.step)]))
        return [(ends[first], ends[last]) for first, last in find_runs(self.split == "test")]


def parameter_names(simulation: xr.Dataset) -> list[str]:
    """Return the parameters a simulation reports."""
    return [str(name) for name in simulation.data_vars if str(name).startswith("parameter_")]


def water_stores(simulation: xr.Dataset) -> list[str]:
    """Return the stores of water of a simulation, which its variables say they are."""
    return variables_in_budget(simulation, WATER_BUDGET, "store")


def has_states(simulation: xr.Dataset) -> bool:
    """Return whether a simulation has the states of a land column."""
    return "soil_temperature" in simulation or bool(water_stores(simulation))
