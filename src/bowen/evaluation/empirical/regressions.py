"""Estimators of the empirical models: linear regression, regression by cluster, and boosted trees.

Each takes inputs (step, input), a flux [W m-2] and weights, both (step,).
"""

import importlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from bowen.errors import ConfigError

Predictor = Callable[[np.ndarray], np.ndarray]  # inputs (step, input) to the flux of each step [W m-2]

_ITERATIONS = 30  # of k-means, as in PLUMBER2
_MAX_CLUSTERED_ROWS = 40_000  # steps for k-means; with a quarter of them RMSEs change by 1.5 W m-2 at most
_MIN_ROWS = 50  # for each coefficient of a regression; half-hours of one day are much alike
_MIN_SINGULAR_VALUE = 1e-2  # of the largest; directions below it have slope zero: all nights are equally dark


def linear(inputs: np.ndarray, flux: np.ndarray, weights: np.ndarray) -> Predictor:
    """Fit one linear regression to all steps."""
    scale = _Scale.of(inputs, weights)
    slope, level = _plane(scale(inputs), flux, weights)
    return partial(_one_plane, scale, slope, level)


def clustered(inputs: np.ndarray, flux: np.ndarray, weights: np.ndarray, *, clusters: int, starts: int) -> Predictor:
    """Fit a linear regression in each cluster of k-means on standardized inputs.

    The clusters are found on at most 40 000 steps by Lloyd's iteration (30 at most), as the best of several random
    starts. The regressions use all steps. A cluster with fewer than 50 steps for each coefficient has the regression
    over all clusters.
    """
    scale = _Scale.of(inputs, weights)
    places = scale(inputs)
    sample, heaviness = _sample(places, weights)
    cluster = _sklearn("cluster").KMeans(
        min(clusters, len(sample)), init="random", n_init=starts, max_iter=_ITERATIONS, random_state=0
    )
    cluster.fit(sample, sample_weight=heaviness)
    labels = cluster.predict(places)
    order = np.argsort(labels, kind="stable")
    edges = np.searchsorted(labels[order], np.arange(cluster.n_clusters + 1))
    everywhere = _plane(places, flux, weights)
    enough = _MIN_ROWS * (places.shape[1] + 1)
    planes = [
        _plane(places[rows], flux[rows], weights[rows]) if len(rows) >= enough else everywhere
        for rows in (order[first:end] for first, end in itertools.pairwise(edges))
    ]
    slopes, levels = (np.array(part) for part in zip(*planes, strict=True))
    return partial(_many_planes, scale, cluster, slopes, levels)


def boosted(inputs: np.ndarray, flux: np.ndarray, weights: np.ndarray) -> Predictor:
    """Fit gradient-boosted regression trees on histograms, with the defaults of scikit-learn (100 trees)."""
    trees = _sklearn("ensemble").HistGradientBoostingRegressor(early_stopping=False, random_state=0)
    return trees.fit(inputs, flux, sample_weight=weights).predict


@dataclass(frozen=True)
class _Scale:
    """Standardization of inputs; a constant one becomes zero."""

    center: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, inputs: np.ndarray, weights: np.ndarray) -> "_Scale":
        center = np.average(inputs, axis=0, weights=weights)
        spread = np.sqrt(np.average((inputs - center) ** 2, axis=0, weights=weights))
        return cls(center, np.where(spread > 1e-9 * np.abs(center), spread, 1.0))

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        return (inputs - self.center) / self.spread


def _plane(places: np.ndarray, flux: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Fit a flux to standardized inputs by weighted least squares; return slopes and intercept."""
    middle, mean = np.average(places, axis=0, weights=weights), np.average(flux, weights=weights)
    root = np.sqrt(weights)
    slope = np.linalg.lstsq(root[:, None] * (places - middle), root * (flux - mean), rcond=_MIN_SINGULAR_VALUE)[0]
    return slope, float(mean - middle @ slope)


def _one_plane(scale: _Scale, slope: np.ndarray, level: float, inputs: np.ndarray) -> np.ndarray:
    return level + scale(inputs) @ slope


def _many_planes(scale: _Scale, cluster: Any, slopes: np.ndarray, levels: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    places = scale(inputs)
    labels = cluster.predict(places)
    return levels[labels] + np.einsum("si,si->s", places, slopes[labels])


def _sample(places: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return steps for k-means with their weights: all, or a sample by weight, spread over towers and time."""
    if len(places) <= _MAX_CLUSTERED_ROWS:
        return places, weights
    heights = (
        np.arange(_MAX_CLUSTERED_ROWS) + np.random.default_rng(0).random(_MAX_CLUSTERED_ROWS)
    ) / _MAX_CLUSTERED_ROWS
    share = np.cumsum(weights)
    return places[np.searchsorted(share, heights * share[-1])], np.ones(_MAX_CLUSTERED_ROWS)


def _sklearn(part: str) -> ModuleType:
    try:
        return importlib.import_module(f"sklearn.{part}")
    except ImportError as problem:
        raise ConfigError(
            "empirical models", "scikit-learn is not installed", fix='pip install "bowen[benchmark]"'
        ) from problem
