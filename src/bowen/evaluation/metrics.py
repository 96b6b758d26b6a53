"""Numbers that tell how near simulated values are to observed ones: `skill`, and the `seven` of PLUMBER2."""

import warnings

import numpy as np
import xarray as xr

METRICS = ("nse", "kge", "rmse", "bias", "bias_percent", "correlation", "n")
PLUMBER2_METRICS = (
    "correlation",
    "q5_difference",
    "q95_difference",
    "bias_magnitude",
    "nme",
    "sd_difference",
    "pdf_overlap",
)
HIGHER_IS_BETTER = ("nse", "kge", "correlation", "pdf_overlap")
SIGNED = ("bias", "bias_percent")  # best at zero
MIN_PAIRS = 10
_FEWEST_FOR_DENSITY, _DENSITY_POINTS = 1000, 2048


def standard_metrics(sample: xr.Dataset) -> dict[str, float]:
    """Compute every metric of a set of pairs; NaN where one is undefined (too few pairs, or a constant record).

    NSE and KGE (2009 form) are 1 for a perfect simulation; NSE is 0 for the observed mean.

    Source:
        Nash and Sutcliffe (1970), J. Hydrol. 10, 282-290; Gupta et al. (2009), J. Hydrol. 377, 80-91.
    """
    count = {"n": float(sample.sizes["time"])}
    if count["n"] < MIN_PAIRS:
        return dict.fromkeys(METRICS[:-1], np.nan) | count
    # Imported here because it brings scipy: a second that only scoring should cost.
    from scores import continuous
    from scores.continuous.correlation import pearsonr

    functions = (continuous.nse, continuous.kge, continuous.rmse, continuous.additive_bias, continuous.pbias, pearsonr)
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        # A constant record has no variance to explain: that is a NaN in the table, not a warning.
        warnings.filterwarnings("ignore", category=UserWarning)
        values = [float(np.asarray(function(sample.simulated, sample.observed))) for function in functions]
    finite = (value if np.isfinite(value) else np.nan for value in values)
    return dict(zip(METRICS[:-1], finite, strict=True)) | count


def plumber2_metrics(sample: xr.Dataset) -> dict[str, float]:
    """Compute the metrics of PLUMBER2, the signed bias, and the number of pairs.

    Correlation; the differences of the 5th and the 95th percentile and of the means, without their signs, in the unit
    of the target; the absolute error over that of the observed mean (`nme`); the difference of the standard
    deviations over the observed one; and the percentage that the densities have in common, which takes 1000 pairs.
    NaN where one is undefined.

    Source:
        Abramowitz et al. (2024), Biogeosciences 21, 5517-5538, after Best et al. (2015), J. Hydrometeorol. 16,
        1425-1442.
    """
    count = {"n": float(sample.sizes["time"])}
    if count["n"] < MIN_PAIRS:
        return dict.fromkeys((*PLUMBER2_METRICS, "bias"), np.nan) | count
    simulated, observed = (sample[name].values.astype(float) for name in ("simulated", "observed"))
    low, high = np.abs(np.quantile(simulated, (0.05, 0.95)) - np.quantile(observed, (0.05, 0.95)))
    bias = np.mean(simulated - observed)
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = np.corrcoef(simulated, observed)[0, 1]
        error = np.abs(simulated - observed).sum() / np.abs(observed.mean() - observed).sum()
        spread = np.abs(1.0 - np.std(simulated, ddof=1) / np.std(observed, ddof=1))
    values = (correlation, low, high, np.abs(bias), error, spread, pdf_overlap(simulated, observed), bias)
    finite = (float(value) if np.isfinite(value) else np.nan for value in values)
    return dict(zip((*PLUMBER2_METRICS, "bias"), finite, strict=True)) | count


def pdf_overlap(simulated: np.ndarray, observed: np.ndarray) -> float:
    """Compute what two densities have in common: 100 if all, 0 if nothing; NaN with fewer than 1000 values.

    Summed over 2048 points of the common range and told with two digits, as PLUMBER2 does. [percent]
    """
    if min(len(simulated), len(observed)) < _FEWEST_FOR_DENSITY:
        return np.nan
    both = np.concatenate([simulated, observed])
    low, high = both.min(), both.max()
    points = np.linspace(low, high, _DENSITY_POINTS)
    common = np.minimum(density(simulated, points), density(observed, points)).sum() * (high - low) / len(points)
    return min(float(f"{100.0 * common:.2g}"), 100.0)


def density(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Estimate the density of values with a Gaussian kernel, as `density` of R does.

    The values are shared out to a regular grid, which reaches four bandwidths beyond the points, and smoothed there.

    Args:
        values: A sample, within the range of the points.
        points: Where to, evenly spaced.

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
    """Choose the width of a kernel by the rule of thumb that R calls `nrd0`, in the unit of the values."""
    deviation = float(np.std(values, ddof=1))
    quartiles = np.quantile(values, (0.25, 0.75))
    spread = min(deviation, float(quartiles[1] - quartiles[0]) / 1.34) or deviation or abs(float(values[0])) or 1.0
    return 0.9 * spread * len(values) ** -0.2
