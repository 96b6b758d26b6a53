"""Upper reference for scores at unseen towers: boosted trees fitted to the tower itself.

It is not a bound, because trees learn less from a short record. The trees are cross-validated on blocks of five days,
five folds, by measured half-hours without the first 15 days, as in `bowen benchmark`. Their inputs are those of
`boosting` there, the net radiation that drives the other models, the hour and the day of the year.

python benchmarks/ceiling.py CONFIG      # a configuration of `bowen benchmark`, such as examples/benchmark.toml
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from bowen.data import TURBULENT, has_daily_fluxes, is_measured
from bowen.evaluation.empirical.inputs import stack_inputs
from bowen.evaluation.empirical.models import MODELS
from bowen.experiments.archive_records import read_archive
from bowen.experiments.run import load_config

BLOCK, FOLDS, SETTLING = 5, 5, 15  # d, parts, d


def judged(record: xr.Dataset) -> dict[tuple[str, str], float]:
    """Compute NSE [1] and root mean square error [W m-2] of each flux of a record."""
    recipe, times = MODELS["boosting"], record.time.dt
    names = (*recipe.inputs, *(["net_radiation"] if record.attrs.get("prescribed_radiation") else []))
    turns = np.stack([times.hour / 24.0 + times.minute / 1440.0, times.dayofyear / 365.0], axis=1) * 2.0 * np.pi
    inputs = np.concatenate([stack_inputs(names, record), np.sin(turns), np.cos(turns)], axis=1)
    day = np.arange(len(inputs)) * int(record.attrs["timestep_s"]) // 86400
    part, found = day // BLOCK % FOLDS, {}
    for name in TURBULENT:
        flux, known, guess = record[name].values, is_measured(record, name), np.full(len(day), np.nan)
        for fold in range(FOLDS):
            train, test = known & (part != fold), known & (part == fold)
            guess[test] = recipe.estimator(inputs[train], flux[train], np.ones(train.sum()))(inputs[test])
        kept = known & (day >= SETTLING)
        squared = ((guess - flux)[kept] ** 2).mean()
        found |= {(name, "nse"): 1.0 - squared / flux[kept].var(), (name, "rmse"): np.sqrt(squared)}
    return found


def main(config: Path) -> None:
    """Print a row for each record with half-hourly fluxes, and statistics over all records."""
    records = read_archive(load_config(config))
    table = {}
    for name in records:
        if not has_daily_fluxes(record := records[name]):
            table[name] = judged(record)
            print(name, {"/".join(key): round(float(value), 3) for key, value in table[name].items()}, flush=True)
    print(pd.DataFrame(table).T.describe().round(3).to_string())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
