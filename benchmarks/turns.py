"""Timed turns: programs compile in processes of their own and run alternately on request.

Other work on the machine then slows all of them alike, so ratios of neighboring turns are more precise than times.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

LEAST_TURN = 0.5  # s


class Failed(Exception):
    """Failure of a worker that ended before it answered, with the last line it wrote."""


class Worker:
    """Handle of a process that runs `serve`; the end of its `with` statement ends the process."""

    def __init__(self, command: Sequence[str], **environment: str):
        """Start the process; `about` waits until it is ready."""
        self.errors = tempfile.TemporaryFile("w+")
        pipe = subprocess.PIPE
        surroundings = os.environ | environment
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=self.errors, text=True, env=surroundings
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
        self.errors.close()

    def about(self) -> Any:
        """Return the next message: the description after compilation, then the time of each turn [s].

        Raises:
            Failed: The process ended.
        """
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            lines = [
                line for line in self.errors.read().splitlines() if line.strip(" -") and "JAX_TRACEBACK" not in line
            ]
            raise Failed(lines[-1] if lines else f"it ended with {self.process.wait()}")
        return json.loads(line)

    def turn(self, name: str) -> float:
        """Measure one run of the function called `name`. [s]."""
        try:
            self.process.stdin.write(name + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # `about` raises the reason
        return self.about()


def serve(runs: Mapping[str, Callable[[], object]], **about: Any) -> None:
    """Run each function once and report readiness; then run those requested on stdin and report their times [s].

    A fast function runs many times in a turn, because it starts with cold caches after the turns of others.
    """
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # other output goes to stderr
    for run in runs.values():
        run()
    print(json.dumps(about), file=told, flush=True)
    for line in sys.stdin:
        times = repeated(runs[line.strip()], least=1, most=1000, seconds=LEAST_TURN)
        print(statistics.mean(times), file=told, flush=True)


def repeated(run: Callable[[], object], least: int = 3, most: int = 15, seconds: float = 2.0) -> list[float]:
    """Measure a function that has run before: often if it is fast, rarely if it is slow. [s]."""
    times: list[float] = []
    while len(times) < least or (len(times) < most and sum(times) < seconds):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return times


def spread(times: Sequence[float]) -> float:
    """Compute the range over the median. [1]."""
    return (max(times) - min(times)) / statistics.median(times)


def middle(values: Sequence[float], form: str = ".3g") -> str:
    """Format the median with the quartiles."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [*values] * 3
    return f"{median:{form}} ({low:{form}} to {high:{form}})"


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Format rows with equal keys as a Markdown table."""
    header = list(rows[0])
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    return "\n".join(lines + [f"| {' | '.join(str(row[name]) for name in header)} |" for row in rows])


def machine() -> str:
    """Describe processor, cores and Python."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"
