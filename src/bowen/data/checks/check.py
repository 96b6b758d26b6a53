"""Check: a number of a record with the limits beyond which it is doubted."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import xarray as xr


@dataclass(frozen=True)
class Check:
    """A number of a record, its range at sound towers, its limits, and the advice beyond them.

    `compute` returns the number, or None where a record has too little data for it. `text` is the beginning of the
    sentence, with the number as `{value}`. `usual` is the range over sound towers, from tests/data/thresholds.py, and
    lies within `limits`; docs/inspect.md lists both for every check.
    """

    name: str
    compute: Callable[[xr.Dataset], float | None]
    text: str
    limits: tuple[float, float]
    usual: tuple[float, float]
    advice: str
    unit: str = ""

    def find_doubt(self, dataset: xr.Dataset) -> str | None:
        """Write the sentence on a record whose number is outside the limits; None if it is not.

        Args:
            dataset: A canonical dataset.
        """
        value = self.compute(dataset)
        if value is None or self.limits[0] <= value <= self.limits[1]:
            return None
        return f"{self.text.format(value=value)} ({self.describe_usual()}): {self.advice}."

    def describe_usual(self) -> str:
        """Describe the range at sound towers, without the bound on a side that has no limit."""
        return f"sound towers: {describe_range(self.usual, self.unit)}"


def describe_range(bounds: tuple[float, float], unit: str = "") -> str:
    """Describe a range, which may be infinite on one side.

    Args:
        bounds: Lowest and highest value.
        unit: Text that follows the last number.
    """
    low, high = bounds
    if low == -float("inf"):
        return f"at most {high:,g}{unit}"
    return f"at least {low:,g}{unit}" if high == float("inf") else f"{low:,g} to {high:,g}{unit}"


def find_doubts(dataset: xr.Dataset, checks: Iterable[Check]) -> list[str]:
    """Write a sentence for each check whose number is outside its limits.

    Args:
        dataset: A canonical dataset.
        checks: The checks, in the order of the sentences.

    Returns:
        The sentences; see `Check.find_doubt`.
    """
    return [doubt for check in checks if (doubt := check.find_doubt(dataset))]
