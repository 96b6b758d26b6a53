"""Comparison of models over many towers: normalized metrics, medians, and bootstrap intervals of differences.

The functions read tables of scores in the long format of `bowen.evaluation.scores`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from bowen.errors import DataError
from bowen.evaluation.metrics import METRICS, Metric, ranked_metrics

BENCHMARKS = ("1lin", "3km27", "LSTM")  # of PLUMBER2
CASE = ("split", "subset", "variable", "resolution", "metric")  # equal for all scores that are compared


class MedianDifference(NamedTuple):
    """Difference of the medians of two models over towers, with its bootstrap interval."""

    median: float
    low: float
    high: float
    towers: int

    @property
    def is_significant(self) -> bool:
        """True where the interval excludes zero."""
        return self.low > 0.0 or self.high < 0.0


def normalize_scores(
    frame: pd.DataFrame,
    benchmarks: Sequence[str] = BENCHMARKS,
    metrics: Sequence[str] | None = None,
    table: Mapping[str, Metric] = METRICS,
) -> pd.DataFrame:
    """Normalize scores by those of benchmark models: 0 is the best of them at that tower, 1 the worst.

    A model may be better than 0 or worse than 1. Where the benchmarks are equal, or one has no score, it is NaN.

    Args:
        frame: Scores in the long format, the benchmarks among the models.
        benchmarks: The models that span the scale.
        metrics: The metrics to normalize; None takes those of PLUMBER2. With "bias" instead of "bias_magnitude" the
            bias counts with its sign.
        table: The metrics by name, of which it takes the best value.

    Returns:
        The rows of those metrics with normalized values. [1]

    Raises:
        DataError: A benchmark is not among the models, a model has several scores at a tower, or it is not known
            which values of a metric are good.

    Source:
        The independent normalized metric value of Abramowitz et al. (2024), Biogeosciences 21, 5517-5538.
    """
    _check_once(frame)
    if absent := [name for name in benchmarks if name not in set(frame["model"])]:
        raise DataError(
            f"benchmark{'s' * (len(absent) > 1)} {', '.join(absent)}",
            "there are no scores",
            fix=f"score them too, or choose among {', '.join(sorted(set(frame['model'])))}",
        )
    chosen = frame.loc[frame["metric"].isin(ranked_metrics("plumber2", table) if metrics is None else metrics)]
    if unknown := sorted(set(chosen["metric"]) - {name for name, metric in table.items() if metric.best != "none"}):
        raise DataError(
            f"metric {unknown[0]}", "its best value is not known", fix="pass a table of metrics that has a row for it"
        )
    where = ["tower", *CASE]
    span = chosen.loc[chosen["model"].isin(benchmarks)].groupby(where)["value"].agg(["min", "max", "count"])
    least, most, count = (chosen[where].join(span, on=where)[name].to_numpy() for name in ("min", "max", "count"))
    value = chosen["value"].to_numpy()
    higher = chosen["metric"].isin([name for name, metric in table.items() if metric.best == "high"]).to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = np.where(higher, most - value, value - least) / (most - least)
    return chosen.assign(value=np.where((count == len(benchmarks)) & np.isfinite(scaled), scaled, np.nan))


def summarize_normalized(
    frame: pd.DataFrame,
    benchmarks: Sequence[str] = BENCHMARKS,
    metrics: Sequence[str] | None = None,
    table: Mapping[str, Metric] = METRICS,
) -> pd.DataFrame:
    """Summarize scores of `normalize_scores` over towers and metrics, with the same arguments.

    Returns:
        `mean`, `median` and `count` of the values by model, split, subset, variable and resolution. The mean is that
        of PLUMBER2; where benchmarks are nearly equal, few values dominate it, but not the median.

    Raises:
        DataError: As `normalize_scores`.
    """
    groups = normalize_scores(frame, benchmarks, metrics, table).groupby(["model", *CASE[:-1]], sort=False)["value"]
    return pd.DataFrame({"mean": groups.mean(), "median": groups.median(), "count": groups.count()})


def summarize_over_sites(frame: pd.DataFrame, table: Mapping[str, Metric] = METRICS) -> pd.DataFrame:
    """Summarize scores over towers.

    Args:
        frame: Scores in the long format.
        table: The metrics by name, of which it takes the best value.

    Returns:
        By model and case `median`, `worst_quarter` (the quartile on the worse side; of a metric that is best at a
        number, the distance from it; NaN for metrics not in the table) and `towers`, the number of towers with a
        value.

    Raises:
        DataError: A model has several scores at a tower.
    """
    _check_once(frame)
    chosen = frame.loc[frame["metric"] != "n"]
    distance = pd.Series(np.nan, chosen.index)
    for name in chosen["metric"].unique():
        if name in table:
            of_metric = chosen["metric"] == name
            distance[of_metric] = table[name].distance(chosen.loc[of_metric, "value"])
    groups = chosen.assign(distance=distance).groupby(["model", *CASE], sort=False)
    worst = groups["distance"].quantile(0.75)
    higher = worst.index.get_level_values("metric").isin([name for name in table if table[name].best == "high"])
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
    subset: str = "all",
    resolution: str = "native",
    level: float = 0.95,
    draws: int = 10_000,
) -> MedianDifference:
    """Compare two models by the difference of their medians over towers, with its bootstrap interval.

    Towers are drawn with replacement, the same for both; where a model was trained from several seeds, these are
    drawn too, and the mean over the drawn seeds counts at each tower. Towers without a score of either are left out.

    Args:
        frame: Scores in the long format.
        first: The name of a model, or the names of those that differ only in their seed.
        second: The model to subtract, likewise.
        variable: The flux to compare.
        metric: The metric to compare.
        split: The split to compare.
        subset: The subset to compare.
        resolution: The resolution to compare.
        level: The share of the draws within the interval. [1]
        draws: The number of draws.

    Returns:
        The difference, first minus second, in the unit of the metric.

    Raises:
        DataError: The two have no tower in common, or a model has several scores at a tower.
    """
    _check_once(frame)
    case = dict(zip(CASE, (split, subset, variable, resolution, metric), strict=True))
    chosen = frame[np.logical_and.reduce([frame[name] == value for name, value in case.items()])]
    wide = chosen.pivot(index="model", columns="tower", values="value")
    models = [[name] if isinstance(name, str) else list(name) for name in (first, second)]
    every = list(dict.fromkeys(models[0] + models[1]))
    wide = wide.reindex(every).dropna(axis="columns")
    if not wide.size:
        raise DataError(
            " and ".join(every),
            f"no common tower has {metric} of {variable} ({split}, {subset}, {resolution})",
            fix="score all of them at the same towers",
        )
    draw = np.random.default_rng(0)
    towers = draw.integers(wide.shape[1], size=(draws, wide.shape[1]))
    medians, drawn = [], []
    for names in models:
        scores = wide.loc[names].to_numpy()
        shares = draw.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws) / len(names)
        medians.append(np.median(scores.mean(axis=0)))
        drawn.append(np.median(np.take_along_axis(shares @ scores, towers, axis=1), axis=1))
    low, high = np.quantile(drawn[0] - drawn[1], [(1 - level) / 2, (1 + level) / 2])
    return MedianDifference(float(medians[0] - medians[1]), float(low), float(high), wide.shape[1])


def _check_once(frame: pd.DataFrame) -> None:
    """Check that no tower counts twice."""
    if (twice := frame.duplicated(["tower", "model", *CASE])).any():
        tower, model = frame.loc[twice, ["tower", "model"]].iloc[0]
        raise DataError(
            str(tower),
            f"{model} has several scores of one kind",
            fix="keep one record of a tower, or give each its own name in the column `tower`",
        )
