"""What scores at many towers say of the contestants: their place among benchmarks, and whether one is ahead.

All of it reads tables of scores in the long format of `bowen.evaluation.scores`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from bowen.errors import DataError
from bowen.evaluation.metrics import HIGHER_IS_BETTER, PLUMBER2_METRICS, SIGNED

BENCHMARKS = ("1lin", "3km27", "LSTM")  # what PLUMBER2 measures models by
CASE = ("split", "regime", "variable", "resolution", "metric")  # what has to agree before towers are compared


class MedianDifference(NamedTuple):
    """How far the median of a contestant over towers is above that of another, with the interval of a bootstrap."""

    median: float
    low: float
    high: float
    towers: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out; a difference that is not clear is no win."""
        return self.low > 0.0 or self.high < 0.0


def normalize_scores(
    frame: pd.DataFrame, benchmarks: Sequence[str] = BENCHMARKS, metrics: Sequence[str] = PLUMBER2_METRICS
) -> pd.DataFrame:
    """Put scores on the scale of benchmark models: 0 is the best of them at that tower, 1 the worst.

    A model may be better than 0 or worse than 1. Where the benchmarks are all alike, or one is lacking, it is NaN.

    Args:
        frame: Scores in the long format, the benchmarks among the models.
        benchmarks: The models that span the scale.
        metrics: The metrics to take; with "bias" in place of "bias_magnitude" the bias counts with its sign.

    Returns:
        The rows of those metrics, the value on that scale. [1]

    Raises:
        DataError: A benchmark is not among the models, or a model has several scores at a tower.

    Source:
        The independent normalized metric value of Abramowitz et al. (2024), Biogeosciences 21, 5517-5538.
    """
    _check_once(frame)
    if absent := [name for name in benchmarks if name not in set(frame["model"])]:
        raise DataError(
            f"No scores of the benchmark{'s' * (len(absent) > 1)} {', '.join(absent)}."
            f"\n  fix: score them too, or choose among {', '.join(sorted(set(frame['model'])))}."
        )
    chosen = frame.loc[frame["metric"].isin(metrics)]
    where = ["tower", *CASE]
    span = chosen.loc[chosen["model"].isin(benchmarks)].groupby(where)["value"].agg(["min", "max", "count"])
    least, most, count = (chosen[where].join(span, on=where)[name].to_numpy() for name in ("min", "max", "count"))
    value = chosen["value"].to_numpy()
    higher = chosen["metric"].isin(HIGHER_IS_BETTER).to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = np.where(higher, most - value, value - least) / (most - least)
    return chosen.assign(value=np.where((count == len(benchmarks)) & np.isfinite(scaled), scaled, np.nan))


def summarize_normalized(
    frame: pd.DataFrame, benchmarks: Sequence[str] = BENCHMARKS, metrics: Sequence[str] = PLUMBER2_METRICS
) -> pd.DataFrame:
    """Summarize `normalized` scores over towers and metrics; see there for the arguments.

    Returns:
        `mean`, `median` and `count` of the values by model, split, regime, variable and resolution. The mean is that
        of PLUMBER2; where benchmarks are nearly alike it hangs on few values, and the median does not.

    Raises:
        DataError: A benchmark is not among the models, or a model has several scores at a tower.
    """
    groups = normalize_scores(frame, benchmarks, metrics).groupby(["model", *CASE[:-1]], sort=False)["value"]
    return pd.DataFrame({"mean": groups.mean(), "median": groups.median(), "count": groups.count()})


def summarize_over_sites(frame: pd.DataFrame) -> pd.DataFrame:
    """Summarize scores over towers.

    Args:
        frame: Scores in the long format.

    Returns:
        By model and case `median`, `worst_quarter` (the value that a quarter of the towers do not reach; of a bias,
        without its sign) and `towers`, how many have a value.

    Raises:
        DataError: A model has several scores at a tower.
    """
    _check_once(frame)
    judged = frame.loc[frame["metric"] != "n"]
    worth = judged["value"].where(~judged["metric"].isin(SIGNED), judged["value"].abs())
    badness = worth.where(~judged["metric"].isin(HIGHER_IS_BETTER), -worth)
    groups = judged.assign(badness=badness).groupby(["model", *CASE], sort=False)
    worst = groups["badness"].quantile(0.75)
    higher = worst.index.get_level_values("metric").isin(HIGHER_IS_BETTER)
    values = groups["value"]
    return pd.DataFrame(
        {"median": values.median(), "worst_quarter": worst.where(~higher, -worst), "towers": values.count()}
    )


def compare_medians(
    frame: pd.DataFrame,
    first: str | Sequence[str],
    second: str | Sequence[str],
    *,
    variable: str,
    metric: str = "nse",
    split: str = "test",
    regime: str = "all",
    resolution: str = "native",
    level: float = 0.95,
    draws: int = 10_000,
) -> MedianDifference:
    """Compare two contestants by the difference of their medians over towers, with its bootstrap interval.

    Towers are drawn with replacement, the same for both; where a contestant was trained from several seeds, these are
    drawn too, and at each tower the mean over the seeds drawn counts. Towers that lack a score of either are left out.

    Args:
        frame: Scores in the long format.
        first: The name of a model, or the names of those that differ only in their seed.
        second: The contestant to subtract, likewise.
        variable: The flux to compare.
        metric: The metric to compare.
        split: The split to compare.
        regime: The regime to compare.
        resolution: The resolution to compare.
        level: The share of the draws within the interval. [1]
        draws: How many.

    Returns:
        The difference, first less second, in the unit of the metric.

    Raises:
        DataError: The two have no tower in common, or a model has several scores at a tower.
    """
    _check_once(frame)
    case = dict(zip(CASE, (split, regime, variable, resolution, metric), strict=True))
    chosen = frame[np.logical_and.reduce([frame[name] == value for name, value in case.items()])]
    wide = chosen.pivot(index="model", columns="tower", values="value")
    contestants = [[name] if isinstance(name, str) else list(name) for name in (first, second)]
    every = list(dict.fromkeys(contestants[0] + contestants[1]))
    wide = wide.reindex(every).dropna(axis="columns")
    if not wide.size:
        raise DataError(
            f"{' and '.join(every)} have no tower in common with {metric} of {variable} ({split}, {regime}, "
            f"{resolution}).\n  fix: score all of them at the same towers."
        )
    draw = np.random.default_rng(0)
    towers = draw.integers(wide.shape[1], size=(draws, wide.shape[1]))
    medians, drawn = [], []
    for names in contestants:
        scores = wide.loc[names].to_numpy()
        shares = draw.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws) / len(names)
        medians.append(np.median(scores.mean(axis=0)))
        drawn.append(np.median(np.take_along_axis(shares @ scores, towers, axis=1), axis=1))
    low, high = np.quantile(drawn[0] - drawn[1], [(1 - level) / 2, (1 + level) / 2])
    return MedianDifference(float(medians[0] - medians[1]), float(low), float(high), wide.shape[1])


def _check_once(frame: pd.DataFrame) -> None:
    """Refuse a table in which a tower would count twice."""
    if (twice := frame.duplicated(["tower", "model", *CASE])).any():
        tower, model = frame.loc[twice, ["tower", "model"]].iloc[0]
        raise DataError(
            f"{tower}: {model} has several scores of one kind."
            "\n  fix: keep one record of a tower, or give each a name of its own in the column `tower`."
        )
