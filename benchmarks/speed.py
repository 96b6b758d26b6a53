"""How fast a model runs, forward and with its gradient: `make bench` prints the table and writes build/bench.{json,md}.

Each case runs in a process of its own, so that compile time and peak memory are its own. Times are medians of five runs
of the compiled function, float32, 10 days of half-hours.
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

DAYS, REPEATS = 10, 5
CASES = [
    (kind, columns, gradient) for kind in ("process", "hybrid", "network") for columns in (1, 64) for gradient in (0, 1)
]


def case(kind: str, columns: int, gradient: bool) -> dict:
    """Compile and time one case in this process."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from bowen.classes import parameters_for
    from bowen.hybrid import Hybrid, Network, Scale
    from bowen.land import Process, initial_state
    from bowen.solve import Inputs, roll
    from bowen.synthetic import weather
    from bowen.training import learned
    from bowen.variables import Forcing

    record = weather(DAYS, 0)
    names = ("shortwave_down", "air_temperature", "specific_humidity", "air_pressure", "wind_speed", "precipitation")
    arrays = {name: jnp.asarray(record[name].values, jnp.float32) for name in names}
    forcing = Forcing(**arrays, radiation=jnp.asarray(record["longwave_down"].values, jnp.float32))
    features = jax.random.normal(jax.random.key(1), (record.sizes["time"], 24))
    inputs = Inputs(forcing, features, jnp.asarray(1800.0)).each(
        lambda x: jnp.broadcast_to(x[:, None], (x.shape[0], columns, *x.shape[1:]))
    )
    base = parameters_for("ENF", reference_height=30.0, canopy_height=18.0)
    dynamic, key = ("surface_resistance", "roughness_ratio_log", "ground_albedo"), jax.random.key(0)
    model = {
        "process": lambda: Process(base, ("surface_resistance", "root_capacity")),
        "hybrid": lambda: Hybrid(base, dynamic, features=24, hidden=64, key=key),
        "network": lambda: Network(features=24, hidden=64, key=key, scale=Scale(jnp.zeros(2), jnp.ones(2))),
    }[kind]()
    carry = jax.tree.map(
        lambda x: jnp.broadcast_to(x, (columns, *x.shape)), model.start(initial_state(base, jnp.asarray(283.0)))
    )
    moving, still = eqx.partition(model, learned(model))

    def mean_flux(moving, carry, inputs):
        def one(carry, forcing, features):
            series = Inputs(forcing, features, inputs.dt)
            _, kept = roll(eqx.combine(moving, still), carry, series, lambda r: r.fluxes.latent_heat)
            return kept

        return jax.vmap(one, in_axes=(0, 1, 1))(carry, inputs.forcing, inputs.features).mean()

    function = jax.value_and_grad(mean_flux) if gradient else mean_flux
    began = time.perf_counter()
    compiled = jax.jit(function).lower(moving, carry, inputs).compile()
    compile_time = time.perf_counter() - began
    jax.block_until_ready(compiled(moving, carry, inputs))
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        jax.block_until_ready(compiled(moving, carry, inputs))
        times.append(time.perf_counter() - began)
    return {
        "model": kind,
        "columns": columns,
        "what": "forward + gradient" if gradient else "forward",
        "column_steps_per_s": round(record.sizes["time"] * columns / statistics.median(times)),
        "spread": round((max(times) - min(times)) / statistics.median(times), 2),
        "compile_s": round(compile_time, 1),
        "peak_memory_MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "device": str(jax.devices()[0].device_kind),
    }


def seconds(code: str) -> float:
    """Median time of a Python process that runs `code`."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def processor() -> str:
    """Name of the processor, as the system tells it."""
    listing = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in listing.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    """Run every case, one process each, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs=3, metavar=("MODEL", "COLUMNS", "GRADIENT"), help="run one case, print JSON")
    parser.add_argument("--out", type=Path, default=Path("build"))
    chosen = parser.parse_args()
    if chosen.case:
        kind, columns, gradient = chosen.case
        print(json.dumps(case(kind, int(columns), gradient == "1")))
        return
    rows = []
    for kind, columns, gradient in CASES:
        command = [sys.executable, __file__, "--case", kind, str(columns), str(gradient)]
        rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        print(rows[-1], file=sys.stderr, flush=True)
    imports = {
        "bare": seconds("import jax, equinox, optax"),
        "bowen": seconds("import bowen; bowen.Hybrid, bowen.train"),
    }
    machine = f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    header = list(rows[0])
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    lines += [f"| {' | '.join(str(row[name]) for name in header)} |" for row in rows]
    table = "\n".join(lines)
    note = f"Import: bowen's models and training {imports['bowen']:.1f} s; jax, equinox, optax {imports['bare']:.1f} s."
    chosen.out.mkdir(exist_ok=True)
    text = f"{machine}\n\n{table}\n\n{note}\n"
    (chosen.out / "bench.md").write_text(text)
    (chosen.out / "bench.json").write_text(
        json.dumps({"machine": machine, "rows": rows, "import_s": imports}, indent=1)
    )
    print(text)


if __name__ == "__main__":
    main()
