"""Memory of training on copies of one synthetic record: 212 of ten years, as many towers as FLUXNET2015 has.

python benchmarks/many.py [COPIES] [YEARS]
"""

import os
import re
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

from bowen.cli import xla_flags
from bowen.config.schema import parse
from bowen.data import write_record
from bowen.experiments.benchmark import train_all
from bowen.experiments.twin_experiment import make_twin

SETTINGS = {
    "model": {"substeps": 1},
    "training": {"updates": 2, "validate_every": 2, "windows_per_site": 1, "spin_up_years": 1},
}


def held() -> dict[str, float]:
    """Return the memory of this process: anonymous, and of mapped files, which the system can reclaim. [GB]."""
    found = re.findall(r"^Rss(Anon|File):\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return {name: float(count) * 1.024e-6 for name, count in found}


def main(copies: int = 212, years: int = 10) -> None:
    """Train two updates, and print the peak memory before and during them."""
    xla_flags.fuse_more()
    xla_flags.fuse_loops()
    xla_flags.use_cores()
    with tempfile.TemporaryDirectory() as place:
        archive = Path(place) / "towers.zarr"
        key = write_record(archive, make_twin(365 * years)[0])
        site, span = key.split("_")
        for copy in range(1, copies):
            shutil.copytree(archive / key, archive / f"{site}-{copy}_{span}", copy_function=os.link)
        most, done = held(), threading.Event()
        print(f"one record, made: {most['Anon']:.1f} GB", flush=True)

        def look() -> None:
            while not done.wait(0.1):
                most.update({name: max(most[name], now) for name, now in held().items()})

        watcher = threading.Thread(target=look)
        watcher.start()
        begun = time.perf_counter()
        train_all(parse(SETTINGS | {"data": {"met": str(archive), "soil": "CMF"}}, where="many"), Path(place) / "run")
        done.set()
        watcher.join()
        print(f"{copies} records of {years} years, {time.perf_counter() - begun:.0f} s: {most['Anon']:.1f} GB, and of")
        print(f"series on disk as much as is free: here {most['File']:.1f} GB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
