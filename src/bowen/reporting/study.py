"""Input of a report: a record, the models run on it, and the views of them that figures and tables share."""

import dataclasses
import functools
import itertools
from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from bowen.data.checks.night_coverage import is_filled_without_flags
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
NUM_MODEL_COLORS = 5
MAX_DAILY_STEPS = 1200


@dataclasses.dataclass(frozen=True)
class Study:
    """Record, simulations by model name, split label of each step, scores and training histories."""

    observed: xr.Dataset
    simulations: Mapping[str, xr.Dataset]
    split: np.ndarray
    scores: pd.DataFrame
    history: Mapping[str, pd.DataFrame]

    def __post_init__(self) -> None:
        """Check that the simulations, the split and the scores fit the record."""
        if not self.simulations:
            raise DataError("report", "it needs at least one simulation", fix="pass {model name: simulation}")
        for model, simulation in self.simulations.items():
            check_axes(simulation, self.observed, self.split, model)
            if missing := [target for target in self.targets if target not in simulation]:
                raise DataError(
                    model,
                    f"the simulation has no {', '.join(missing)}, which the record has",
                    fix="add it to the simulation, or drop it from the record",
                )
        check_columns(self.scores, "scores of the report")

    @property
    def time(self) -> pd.DatetimeIndex:
        """Start of each step."""
        return pd.DatetimeIndex(self.observed.time.values)

    @property
    def hours(self) -> np.ndarray:
        """Hour of the day at the middle of each step."""
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
        """Turbulent fluxes in the record."""
        return [target for target in TARGETS if target in self.observed]

    @property
    def colors(self) -> dict[str, str]:
        """Color name of each model, the same in every report for `KNOWN_MODELS`."""
        names = [f"model-{number}" for number in range(1, NUM_MODEL_COLORS + 1)]
        other_models = [model for model in self.simulations if model not in KNOWN_MODELS]
        return dict(zip(KNOWN_MODELS, names, strict=False)) | dict(
            zip(other_models, itertools.cycle(names[len(KNOWN_MODELS) :]), strict=False)
        )

    @property
    def physical(self) -> dict[str, xr.Dataset]:
        """Simulations that have parameters or states."""
        return {model: data for model, data in self.simulations.items() if parameter_names(data) or has_states(data)}

    @property
    def principal(self) -> str:
        """Physical model whose states are drawn where there is room for one: the last."""
        return list(self.physical)[-1]

    @property
    def budgets(self) -> dict[str, dict]:
        """Budget audit of each model that has all terms of the budgets."""
        return {model: audit_budgets(data) for model, data in self.simulations.items() if has_budgets(data)}

    @property
    def held_out(self) -> np.ndarray:
        """Test steps, or every labeled step where none is for testing."""
        test = self.split == "test"
        return test if test.any() else self.split != ""

    @property
    def held_out_name(self) -> str:
        """Name of the held-out steps in captions."""
        return "test blocks" if (self.split == "test").any() else "whole record"

    @functools.cached_property
    def step_kind(self) -> str:
        """Name in captions of the steps with quality flag 0: measured, or unflagged if filled ones have no flag."""
        return "unflagged" if is_filled_without_flags(self.observed) else "measured"

    @property
    def warm_season(self) -> np.ndarray:
        """Steps in the summer months of the hemisphere."""
        months = (6, 7, 8) if self.observed.attrs.get("latitude", 0.0) >= 0 else (12, 1, 2)
        return np.isin(self.time.month, months)

    @property
    def days(self) -> int:
        """Days in a mean when the whole record is drawn: one, or seven where the record is long."""
        return 1 if len(self.time) * self.step / 86400 <= MAX_DAILY_STEPS else 7

    @property
    def period(self) -> str:
        """Name of that number of days."""
        return "day" if self.days == 1 else "week"

    @property
    def mean_name(self) -> str:
        """Name of means over that number of days."""
        return "daily means" if self.days == 1 else "weekly means"

    @functools.cached_property
    def values(self) -> dict[tuple[str, ...], float]:
        """Scores of all steps by model, split, variable, resolution and metric."""
        names = ["model", "split", "variable", "resolution", "metric"]
        scores = self.scores.loc[self.scores["subset"] == ALL]
        return dict(zip(scores[names].itertuples(index=False, name=None), scores["value"], strict=True))

    def score(self, model: str, target: str, metric: str, split: str = "test", resolution: str = "native") -> float:
        """Return a score; NaN where it is absent."""
        return self.values.get((model, split, target, resolution, metric), np.nan)

    def pair_steps(self, model: str, target: str, keep: np.ndarray) -> xr.Dataset:
        """Pair simulated with measured values at the steps to keep."""
        return select_pairs(
            self.simulations[model], self.observed, target, keep & is_measured(self.observed, target), model=model
        )

    def fold_by_day(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Fold a series into whole days, or weeks where the record is long; return first steps and rows."""
        length = round(self.days * 86400 / self.step)
        first = int(np.argmax(self.time == self.time.normalize()))
        last = first + (len(values) - first) // length * length
        return self.time[first:last:length].to_numpy(), values[first:last].reshape(-1, length)

    def average_by_day(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Average a series over whole days, or weeks where the record is long."""
        start, rows = self.fold_by_day(values)
        return start, rows.mean(axis=1)

    def find_test_spans(self) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
        """Return start and end of each stretch of test steps."""
        ends = self.time.append(pd.DatetimeIndex([self.time[-1] + pd.Timedelta(seconds=self.step)]))
        return [(ends[first], ends[last]) for first, last in find_runs(self.split == "test")]


def parameter_names(simulation: xr.Dataset) -> list[str]:
    """Return the names of the parameters in a simulation."""
    return [str(name) for name in simulation.data_vars if str(name).startswith("parameter_")]


def water_stores(simulation: xr.Dataset) -> list[str]:
    """Return the stores of water of a simulation, which its variables say they are."""
    return variables_in_budget(simulation, WATER_BUDGET, "store")


def has_states(simulation: xr.Dataset) -> bool:
    """Return whether a simulation has the states of a land column."""
    return "soil_temperature" in simulation or bool(water_stores(simulation))
