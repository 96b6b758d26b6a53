"""Metrics of simulated against observed values: one table, `METRICS`, for scores, rankings, pages and terminal."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, SupportsFloat

import numpy as np
import xarray as xr

from bowen.errors import ConfigError

MetricFunction = Callable[[np.ndarray, np.ndarray], SupportsFloat]  # (simulated, observed), finite and equally long
MIN_PAIRS = 10
MIN_DENSITY_VALUES = 1000
LOG_FLOW_OFFSET = 0.01  # of the mean observed flow, added before logarithms, as Pushpalatha et al. (2012) do
_DENSITY_POINTS = 2048


@dataclass(frozen=True)
class Metric:
    """Metric: its function, how tables show it, and which values are good.

    Attributes:
        name: Name in tables of scores.
        function: Function of simulated and observed values, both (time,); None where more than pairs is needed, so
            that `bowen.evaluation.unseen_variables` computes it.
        label: Name in tables for reading.
        digits: Decimals in tables for reading.
        best: The best value: the highest, the lowest, zero or one; "none" where no value is better than another.
        unit: "target" for the unit of the variable compared, "%", "d", or "" for a pure number.
        sets: Sets that the metric is computed with: "standard", "plumber2", "runoff", "snow" or "soil_moisture".
        tables: Tables other than those of the report that show it: "terminal", "transfer".
        not_for: Variables whose mean is about zero or has an arbitrary origin, for which it is not shown.
    """

    name: str
    function: MetricFunction | None
    label: str
    digits: int
    best: Literal["high", "low", "zero", "one", "none"]
    unit: Literal["", "target", "%", "d"] = ""
    sets: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    not_for: tuple[str, ...] = ()

    def __call__(self, simulated: np.ndarray, observed: np.ndarray) -> float:
        """Compute the metric of simulated and observed values."""
        if self.function is None:
            raise TypeError(f"{self.name} is not a function of pairs alone")
        return float(self.function(simulated, observed))

    def distance(self, value: Any) -> Any:
        """Return a number, or an array of them, that is lower the better the value; NaN where none is better."""
        by_best = {
            "high": lambda: -value,
            "low": lambda: value,
            "zero": lambda: abs(value),
            "one": lambda: abs(value - 1),
        }
        return by_best[self.best]() if self.best in by_best else np.nan * value

    def heading(self, target_unit: str = "") -> str:
        """Return the label with its unit, where it has one."""
        unit = target_unit if self.unit == "target" else self.unit
        return f"{self.label}, {unit}" if unit else self.label


def select_metrics(metrics: str | Mapping[str, MetricFunction] = "standard") -> dict[str, MetricFunction]:
    """Return the functions of a named set in the order of `METRICS`, or those of a mapping as they are.

    Raises:
        ConfigError: There is no such set.
    """
    if not isinstance(metrics, str):
        return dict(metrics)
    known = dict.fromkeys(name for metric in METRICS.values() for name in metric.sets)
    if metrics not in known:
        raise ConfigError(f"metrics {metrics!r}", "there is no such set", fix=f"choose among {', '.join(known)}")
    return {name: metric for name, metric in METRICS.items() if metrics in metric.sets and metric.function}


def ranked_metrics(name: str, table: "Mapping[str, Metric] | None" = None) -> list[str]:
    """Return the metrics of a set that are best at their highest or lowest value.

    Args:
        name: The set.
        table: The metrics by name; None takes `METRICS`.
    """
    rows = METRICS if table is None else table
    return [key for key, metric in rows.items() if name in metric.sets and metric.best in ("high", "low")]


def compute_metrics(sample: xr.Dataset, metrics: str | Mapping[str, MetricFunction] = "standard") -> dict[str, float]:
    """Compute metrics of a set of pairs.

    Args:
        sample: `simulated` and `observed` along `time`.
        metrics: The name of a set, or functions of (simulated, observed) by name.

    Returns:
        A number for each metric, NaN where it is undefined (fewer than ten pairs, or a constant record), and last
        the number of pairs, `n`.
    """
    simulated, observed = (sample[name].values.astype(float) for name in ("simulated", "observed"))
    functions = {name: function for name, function in select_metrics(metrics).items() if name != "n"}
    values = dict.fromkeys(functions, np.nan)
    if len(observed) >= MIN_PAIRS:
        with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
            # A constant record has no variance to explain: that is a NaN in the table, not a warning.
            warnings.filterwarnings("ignore", category=UserWarning)
            values = {name: float(function(simulated, observed)) for name, function in functions.items()}
    finite = {name: value if np.isfinite(value) else np.nan for name, value in values.items()}
    return finite | {"n": float(len(observed))}


def standard_metrics(sample: xr.Dataset) -> dict[str, float]:
    """Compute NSE, KGE, RMSE, bias, correlation and the number of pairs.

    NSE and KGE (2009 form) are 1 for a perfect simulation; NSE is 0 for the observed mean.

    Source:
        Nash and Sutcliffe (1970), J. Hydrol. 10, 282-290; Gupta et al. (2009), J. Hydrol. 377, 80-91.
    """
    return compute_metrics(sample, "standard")


def plumber2_metrics(sample: xr.Dataset) -> dict[str, float]:
    """Compute the seven metrics of PLUMBER2, the signed bias, and the number of pairs.

    Correlation; the absolute differences of the 5th percentile, the 95th percentile and the mean, in the unit of the
    target; the absolute error over that of the observed mean (`nme`); the difference of the standard deviations over
    the observed one; and the overlap of the densities, which takes 1000 pairs.

    Source:
        Abramowitz et al. (2024), Biogeosciences 21, 5517-5538, after Best et al. (2015), J. Hydrometeorol. 16,
        1425-1442.
    """
    return compute_metrics(sample, "plumber2")


def _from_library(name: str) -> MetricFunction:
    """Return a metric of the library `scores`."""

    def metric(simulated: np.ndarray, observed: np.ndarray) -> float:
        # Imported here because it brings scipy: a second that only scoring should cost.
        from scores import continuous
        from scores.continuous.correlation import pearsonr

        function = pearsonr if name == "pearsonr" else getattr(continuous, name)
        return float(np.asarray(function(*(xr.DataArray(values, dims="time") for values in (simulated, observed)))))

    return metric


def _quantile_difference(probability: float) -> MetricFunction:
    return lambda simulated, observed: abs(np.quantile(simulated, probability) - np.quantile(observed, probability))


def _normalized_mean_error(simulated: np.ndarray, observed: np.ndarray) -> float:
    return np.abs(simulated - observed).sum() / np.abs(observed.mean() - observed).sum()


def _sd_difference(simulated: np.ndarray, observed: np.ndarray) -> float:
    return float(abs(1.0 - np.std(simulated, ddof=1) / np.std(observed, ddof=1)))


def _log_nse(simulated: np.ndarray, observed: np.ndarray) -> float:
    """Compute the NSE of the logarithms of flows.

    Source:
        Pushpalatha et al. (2012), J. Hydrol. 420-421, 171-182, for the offset.
    """
    offset = LOG_FLOW_OFFSET * observed.mean()
    return METRICS["nse"](*(np.log(np.maximum(flow, 0.0) + offset) for flow in (simulated, observed)))


def _rank_correlation(simulated: np.ndarray, observed: np.ndarray) -> float:
    from scipy.stats import rankdata

    return METRICS["correlation"](rankdata(simulated), rankdata(observed))


def pdf_overlap(simulated: np.ndarray, observed: np.ndarray) -> float:
    """Compute the overlap of two densities, from 0 to 100; NaN with fewer than 1000 values.

    It is summed over 2048 points of the common range and rounded to two digits, as in PLUMBER2. [percent]
    """
    if min(len(simulated), len(observed)) < MIN_DENSITY_VALUES:
        return np.nan
    both = np.concatenate([simulated, observed])
    low, high = both.min(), both.max()
    points = np.linspace(low, high, _DENSITY_POINTS)
    common = (
        np.minimum(estimate_density(simulated, points), estimate_density(observed, points)).sum()
        * (high - low)
        / len(points)
    )
    return min(float(f"{100.0 * common:.2g}"), 100.0)


def estimate_density(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Estimate the density of values with a Gaussian kernel, as `density` of R does.

    The values are distributed to a regular grid, which extends four bandwidths beyond the points, and smoothed there.

    Args:
        values: A sample, within the range of the points.
        points: Evenly spaced points to estimate the density at.

    Returns:
        The density at the points, in the inverse of their unit.

    Source:
        Silverman (1986), Density Estimation, section 3.5, for the grid, and eq. 3.31 for the bandwidth.
    """
    from scipy.signal import fftconvolve

    width = bandwidth(values)
    grid, step = np.linspace(points[0] - 4.0 * width, points[-1] + 4.0 * width, max(len(points), 512), retstep=True)
    left = np.minimum(((values - grid[0]) / step).astype(int), len(grid) - 2)
    share = (values - grid[left]) / step
    mass = np.bincount(left, 1.0 - share, len(grid)) + np.bincount(left + 1, share, len(grid))
    distance = step * np.arange(1 - len(grid), len(grid)) / width
    kernel = np.exp(-0.5 * distance**2) / (width * np.sqrt(2.0 * np.pi))
    smooth = fftconvolve(mass / len(values), kernel)[len(grid) - 1 : 2 * len(grid) - 1]
    return np.interp(points, grid, np.maximum(smooth, 0.0))


def bandwidth(values: np.ndarray) -> float:
    """Compute the bandwidth of a Gaussian kernel by the rule `nrd0` of R, in the unit of the values."""
    deviation = float(np.std(values, ddof=1))
    quartiles = np.quantile(values, (0.25, 0.75))
    spread = min(deviation, float(quartiles[1] - quartiles[0]) / 1.34) or deviation or abs(float(values[0])) or 1.0
    return 0.9 * spread * len(values) ** -0.2


_SHIFTING_MEAN = ("ground_heat", "soil_temperature")  # about zero, and in kelvin

METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("nse", _from_library("nse"), "NSE", 3, "high", sets=("standard",), tables=("terminal", "transfer")),
        Metric("kge", _from_library("kge"), "KGE", 3, "high", sets=("standard",), tables=("terminal", "transfer")),
        Metric("rmse", _from_library("rmse"), "RMSE", 1, "low", "target", ("standard",), ("terminal",)),
        Metric("bias", _from_library("additive_bias"), "Bias", 1, "zero", "target", ("standard", "plumber2")),
        Metric(
            "bias_percent", _from_library("pbias"), "Bias", 1, "zero", "%", ("standard",), ("transfer",), _SHIFTING_MEAN
        ),
        Metric(
            "correlation", _from_library("pearsonr"), "r", 3, "high",
            sets=("standard", "plumber2", "soil_moisture"), tables=("transfer",),
        ),
        Metric("q5_difference", _quantile_difference(0.05), "5 % quantile error", 1, "low", "target", ("plumber2",)),
        Metric("q95_difference", _quantile_difference(0.95), "95 % quantile error", 1, "low", "target", ("plumber2",)),
        Metric(
            "bias_magnitude", lambda simulated, observed: abs(np.mean(simulated - observed)), "Absolute bias", 1, "low",
            "target", ("plumber2",),
        ),
        Metric("nme", _normalized_mean_error, "NME", 3, "low", sets=("plumber2",)),
        Metric("sd_difference", _sd_difference, "SD difference", 3, "low", sets=("plumber2",)),
        Metric("pdf_overlap", pdf_overlap, "PDF overlap", 0, "high", "%", ("plumber2",)),
        Metric("log_nse", _log_nse, "NSE of logarithms", 3, "high", sets=("runoff",), tables=("transfer",)),
        Metric(
            "sd_ratio", lambda simulated, observed: np.std(simulated) / np.std(observed), "SD ratio", 2, "one",
            sets=("runoff",), tables=("transfer",),
        ),
        Metric(
            "runoff_ratio_error", None, "Ratio error", 2, "zero", sets=("runoff",), tables=("transfer",),
        ),
        Metric("melt_out_days", None, "Melt-out delay", 1, "zero", "d", ("snow",), ("transfer",)),
        Metric("melt_out_days_off", None, "Absolute melt-out error", 1, "low", "d", ("snow",)),
        Metric("peak_ratio", None, "Peak ratio", 2, "one", sets=("snow",), tables=("transfer",)),
        Metric(
            "rank_correlation", _rank_correlation, "Rank correlation", 3, "high",
            sets=("soil_moisture",), tables=("transfer",),
        ),
        Metric(
            "anomaly_correlation", None, "Anomaly correlation", 3, "high", sets=("soil_moisture",), tables=("transfer",)
        ),
        Metric("n", lambda _, observed: len(observed), "n", 0, "none", sets=("standard", "plumber2")),
    )
}  # fmt: skip
