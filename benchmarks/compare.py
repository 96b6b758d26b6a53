"""Comparison of the speed of this checkout with that of another revision: `make bench-compare BASE=main`.

The base is checked out to a temporary folder. Each revision runs the cases by its own `speed.py`, in turn and in a
process of its own; compilation is not timed. Printed are rates and ratios of neighboring turns, above 1 where this
checkout is faster: medians, with quartiles in parentheses.
"""

import argparse
import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from speed import Case
from turns import Failed, Worker, machine, middle, table

ROOT = Path(__file__).resolve().parents[1]
CASES = [Case("process", 1), Case("process", 4096, days=2), Case("hybrid", 64), Case("network", 64)]


def git(*words: str) -> str:
    """Return the output of a git command in this checkout."""
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LookupError(done.stderr.strip())
    return done.stdout.strip()


def resolve(base: str) -> str:
    """Return the commit of a revision; exit with a message if there is none."""
    try:
        return git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}")
    except LookupError:
        sys.exit(
            f"git knows no revision `{base}` in {ROOT}.\n"
            "  fix: name a branch, tag or commit, as in  make bench-compare BASE=HEAD~1"
        )


@contextlib.contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Check a commit out to a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="bowen-base-") as folder:
        path = Path(folder) / "base"
        try:
            git("worktree", "add", "--detach", str(path), commit)
            yield path
        finally:
            for stop in (signal.SIGINT, signal.SIGTERM):  # a second Ctrl-C must not interrupt the cleanup
                signal.signal(stop, signal.SIG_IGN)
            with contextlib.suppress(LookupError):
                git("worktree", "remove", "--force", str(path))


def compared(case: Case, folders: dict[str, Path], rounds: int) -> list[dict[str, str]]:
    """Measure one row forward and one with the gradient.

    Raises:
        Failed: One of the two revisions cannot run the case.
    """
    with contextlib.ExitStack() as ends:
        workers = {}
        for name, folder in folders.items():
            command = [sys.executable, str(folder / "benchmarks" / "speed.py"), "--serve", *map(str, case)]
            workers[name] = ends.enter_context(Worker(command, PYTHONPATH=str(folder / "src")))
            try:
                about = workers[name].about()
            except Failed as failed:
                raise Failed(f"{name} cannot run it: {failed}") from None
            if not Path(about["bowen"]).is_relative_to(folder):
                raise Failed(f"{name} would run the sources in {about['bowen']}")
        rows = []
        for kind in ("forward", "gradient"):
            times = {name: [] for name in workers}
            for _ in range(rounds):
                for name, worker in workers.items():
                    times[name].append(worker.turn(kind))
            rates = {name: middle([about["steps"] / t for t in taken], ",.0f") for name, taken in times.items()}
            ratios = [before / now for before, now in zip(*times.values(), strict=True)]
            label = f"{case.model}, {case.columns} columns, hidden {case.hidden_size}"
            rows.append({"case": label, "what": kind, **rates, "times as fast": middle(ratios)})
        return rows


def main() -> None:
    """Compare all cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="revision to compare with")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    commit = resolve(chosen.base)
    rows, untold = [], []
    with checked_out(commit) as base:
        for case in CASES:
            try:
                rows += compared(case, {f"{chosen.base} [1/s]": base, "here [1/s]": ROOT}, chosen.rounds)
                print(rows[-2], rows[-1], sep="\n", file=sys.stderr, flush=True)
            except Failed as failed:
                untold.append(f"{case.model}, {case.columns} columns: {failed}")
    print(f"{machine()}; {chosen.base} is {commit[:10]}; column-half-hours per second, {chosen.rounds} turns\n")
    if rows:
        print(table(rows))
    print(*untold, sep="\n", file=sys.stderr)
    sys.exit(not rows)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
