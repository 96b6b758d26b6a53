"""How fast a model runs, forward and with its gradient: `make bench` prints the table and writes build/bench.{json,md}.

Each case runs in a process of its own, so that compile time and peak memory are its own, as training runs it: many
columns side by side, day by day. Times are medians of the compiled function, float32, over 10 days of half-hours. The
rates of the machine, a large matrix product and a stream through memory, are measured in the same run.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

DAYS, REPEATS, FEATURES = 10, 7, 24


class Case(NamedTuple):
    """What is run: the model, the columns side by side, the width of its LSTM, whether its states are fed back."""

    model: str
    columns: int
    hidden: int = 64
    states: str = "fed"


CASES = [
    *(Case("process", columns) for columns in (1, 64, 256, 4096)),
    *(Case("hybrid", columns) for columns in (1, 16, 64, 256)),
    Case("hybrid", 64, hidden=32),
    Case("hybrid", 64, hidden=256),
    Case("hybrid", 64, states="none"),
    *(Case("network", columns) for columns in (1, 64, 256)),
]


def run(case: Case) -> dict:
    """Compile and time one case in this process."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from bowen.classes import parameters_for
    from bowen.hybrid import Hybrid, Network, Scale, fed
    from bowen.land import Process, initial_state
    from bowen.solve import Inputs
    from bowen.synthetic import weather
    from bowen.training import learned, predict
    from bowen.variables import Forcing

    record = weather(DAYS, 0)
    names = ("shortwave_down", "air_temperature", "specific_humidity", "air_pressure", "wind_speed", "precipitation")
    arrays = {name: jnp.asarray(record[name].values, jnp.float32) for name in names}
    forcing = Forcing(**arrays, radiation=jnp.asarray(record["longwave_down"].values, jnp.float32))
    features = jax.random.normal(jax.random.key(1), (record.sizes["time"], FEATURES))
    inputs = Inputs(forcing, features, jnp.asarray(1800.0)).each(
        lambda x: jnp.broadcast_to(x[:, None], (x.shape[0], case.columns, *x.shape[1:]))
    )
    base = parameters_for("ENF", reference_height=30.0, canopy_height=18.0)
    dynamic, key = ("surface_resistance", "roughness_ratio_log", "ground_albedo"), jax.random.key(0)
    sizes = {"features": FEATURES, "hidden": case.hidden, "key": key}
    feedback = fed if case.states == "fed" else None
    model = {
        "process": lambda: Process(base, ("surface_resistance", "root_capacity")),
        "hybrid": lambda: Hybrid(base, dynamic, feedback=feedback, **sizes),
        "network": lambda: Network(scale=Scale(jnp.zeros(2), jnp.ones(2)), **sizes),
    }[case.model]()
    carry = jax.tree.map(
        lambda x: jnp.broadcast_to(x, (case.columns, *x.shape)), model.start(initial_state(base, jnp.asarray(283.0)))
    )
    moving, still = eqx.partition(model, learned(model))

    def squares(moving, carry, inputs):
        return (predict(eqx.combine(moving, still), carry, inputs, 48)[1][0] ** 2).mean()

    told = case._asdict()
    for name, function in {"forward": squares, "gradient": jax.value_and_grad(squares)}.items():
        began = time.perf_counter()
        compiled = jax.jit(function).lower(moving, carry, inputs).compile()
        told[f"{name}_compile_s"] = round(time.perf_counter() - began, 1)
        jax.block_until_ready(compiled(moving, carry, inputs))
        times = []
        for _ in range(REPEATS):
            began = time.perf_counter()
            jax.block_until_ready(compiled(moving, carry, inputs))
            times.append(time.perf_counter() - began)
        told[f"{name}_per_s"] = round(record.sizes["time"] * case.columns / statistics.median(times))
        told[f"{name}_spread"] = round((max(times) - min(times)) / statistics.median(times), 2)
    told["gradient_over_forward"] = round(told["forward_per_s"] / told["gradient_per_s"], 2)
    told["peak_memory_MB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return told | {"device": str(jax.devices()[0].device_kind)}


def rates() -> dict:
    """What this machine can do: a matrix product [GFLOP s-1], and a stream through memory [GB s-1], float32."""
    import jax
    import jax.numpy as jnp

    def best(function, argument) -> float:
        compiled = jax.jit(function)
        jax.block_until_ready(compiled(argument))
        times = []
        for _ in range(REPEATS):
            began = time.perf_counter()
            jax.block_until_ready(compiled(argument))
            times.append(time.perf_counter() - began)
        return min(times)

    square, long = jnp.ones((2048, 2048)), jnp.ones(1 << 25)
    return {
        "product_GFLOP_per_s": round(2 * 2048**3 / best(lambda x: x @ x, square) / 1e9),
        "stream_GB_per_s": round(8 * long.size / best(lambda x: 2.0 * x + 1.0, long) / 1e9, 1),
    }


def seconds(code: str) -> float:
    """Median time of a Python process that runs `code`."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        times.append(time.perf_counter() - began)
    return round(statistics.median(times), 2)


def processor() -> str:
    """Name of the processor, as the system tells it."""
    listing = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in listing.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor()


def alone(*arguments: str) -> dict:
    """What this script prints in a process of its own."""
    command = [sys.executable, __file__, *arguments]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Run every case, one process each, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs=4, metavar=("MODEL", "COLUMNS", "HIDDEN", "STATES"), help="run one, print JSON")
    parser.add_argument("--rates", action="store_true", help="measure the machine, print JSON")
    parser.add_argument("--out", type=Path, default=Path("build"))
    chosen = parser.parse_args()
    if chosen.rates:
        print(json.dumps(rates()))
        return
    if chosen.case:
        model, columns, hidden, states = chosen.case
        print(json.dumps(run(Case(model, int(columns), int(hidden), states))))
        return
    rows = []
    for case in CASES:
        rows.append(alone("--case", *map(str, case)))
        print(rows[-1], file=sys.stderr, flush=True)
    measured = alone("--rates")
    starts = {
        "import jax, equinox, optax": seconds("import jax, equinox, optax"),
        "import bowen": seconds("import bowen"),
        "import bowen; bowen.Hybrid, bowen.train": seconds("import bowen; bowen.Hybrid, bowen.train"),
        "bowen --help": seconds("import sys; sys.argv = ['bowen', '--help']; from bowen.cli import main; main()"),
    }
    machine = f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    header = list(rows[0])
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    lines += [f"| {' | '.join(str(row[name]) for name in header)} |" for row in rows]
    notes = [f"{name}: {value}" for name, value in (measured | {f"`{k}` [s]": v for k, v in starts.items()}).items()]
    text = "\n".join([machine, "", *lines, "", *notes, ""])
    chosen.out.mkdir(exist_ok=True)
    (chosen.out / "bench.md").write_text(text)
    content = {"machine": machine, "rates": measured, "rows": rows, "starts_s": starts}
    (chosen.out / "bench.json").write_text(json.dumps(content, indent=1))
    print(text)


if __name__ == "__main__":
    main()
