"""Time to read a record: a year of FLUXNET text relative to pandas alone, and a prepared record of an archive.

python benchmarks/reading.py FLX_BE-Vie_2014.csv
"""

import lzma
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from bowen.data import open_record, read, write_record
from bowen.data.formats import load_formats
from bowen.data.readers.text_files import SourceFile, read_header

REPETITIONS = 15


def seconds(function: Callable[[], object]) -> float:
    """Measure the processor time of one call. [s]."""
    start = time.process_time()
    function()
    return time.process_time() - start


def main(path: Path) -> None:
    """Read in turn and print medians."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / path.name.removesuffix(".xz")
        plain.write_bytes(lzma.open(path).read() if path.suffix == ".xz" else path.read_bytes())
        kind, present = load_formats()["fluxnet"], read_header(SourceFile(plain)).columns
        names = [name for choice in kind.columns.values() for name in choice if name in present]
        used = {*names, *(kind.flag_column(name, name) for name in names), *kind.time.start, present[-1]} & set(present)
        record = read(plain)
        key = write_record(Path(folder) / "towers.zarr", record)
        ratios, opened = [], []
        for _ in range(REPETITIONS):
            alone = seconds(lambda: pd.read_csv(plain, usecols=lambda name: name in used))
            ratios.append(seconds(lambda: read(plain)) / alone)
            opened.append(seconds(lambda: open_record(Path(folder) / "towers.zarr", key)))
        size = plain.stat().st_size / 1e6
        print(f"{path.name}: {size:.0f} MB, {len(used)} of {len(present)} columns")
        print(f"reading over pandas.read_csv of the same columns: {statistics.median(ratios):.2f}")
        print(f"opening the prepared record: {1e3 * statistics.median(opened):.0f} ms")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
