"""Ranges of the numbers that `inspect` checks, over the shared records: `python -m tests.data.thresholds FOLDER`."""

import sys
from collections.abc import Iterator
from pathlib import Path

import xarray as xr

from bowen.data import read
from bowen.data.checks.check import Check, describe_range
from bowen.data.checks.night_coverage import NIGHT_CHECK
from bowen.data.checks.plausibility import PLAUSIBILITY_CHECKS
from bowen.data.checks.water_balance import PRECIPITATION_CHECKS

CHECKS: tuple[Check, ...] = (*PLAUSIBILITY_CHECKS, *PRECIPITATION_CHECKS, NIGHT_CHECK)
FOLDERS = ("towers", "daily_towers", "daily_towers_2")


def list_records(folder: Path) -> Iterator[tuple[str, Path, Path | None]]:
    """Names and files of the shared records."""
    for path in [path for part in FOLDERS for path in sorted((folder / part).glob("*.nc"))]:
        if path.stem.endswith("_Flux"):
            continue
        flux = path.with_name(path.name.replace("_Met", "_Flux"))
        name = "_".join(path.stem.split("_")[:2])
        is_daily = flux == path
        yield f"{name} daily" if is_daily else name, path, flux if not is_daily and flux.exists() else None


def measure(dataset: xr.Dataset) -> dict[str, float]:
    """The numbers of a record by name of the check, without those that it has too little data for."""
    numbers = {check.name: check.compute(dataset) for check in CHECKS}
    return {name: value for name, value in numbers.items() if value is not None}


def format_table(checks: tuple[Check, ...] = CHECKS) -> str:
    """The table of docs/inspect.md."""

    rows = [
        (check.name, describe_range(check.usual, check.unit), describe_range(check.limits, check.unit), check.advice)
        for check in checks
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    found: dict[str, list[tuple[float, str]]] = {}
    for name, met, flux in list_records(Path(sys.argv[1])):
        for check, value in measure(read(met, flux)).items():
            found.setdefault(check, []).append((value, name))
    for check in CHECKS:
        inside = sorted(pair for pair in found.get(check.name, []) if check.limits[0] <= pair[0] <= check.limits[1])
        outside = sorted(pair for pair in found.get(check.name, []) if pair not in inside)
        ends = [f"{value:.4g} ({name})" for value, name in (*inside[:3], *inside[-3:])]
        print(f"{check.name}: n {len(inside)}; {', '.join(ends)}; doubted: {outside}; table {check.usual}")
