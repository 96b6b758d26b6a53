"""Speed of models, forward and with gradient: `make bench` prints the table and writes build/bench.{json,md}.

Each case runs as in training and in a process of its own, so that compile time and peak memory are those of the case:
many columns side by side, distributed over devices, day by day, float32, with the options of XLA that the command sets.
Times are medians of the compiled function.

Attainable speed: a step takes at least the time of its operations at the rate of a large matrix product plus that of
its transcendental functions at their rate, or the time to stream its inputs and results through memory, if that is
longer. XLA counts the operations of a step, bytes are counted here, and the rates are measured in the same run.
"""

import argparse
import contextlib
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from turns import machine, repeated, serve, spread, table

FEATURES = 24


class Case(NamedTuple):
    """Case to run: model, number of columns, hidden size, state feedback ("fed" or "none"), days, sub-steps."""

    model: str
    columns: int
    hidden_size: int = 64
    states: str = "fed"
    days: int = 10
    substeps: int = 2

    @classmethod
    def of(cls, words: list[str]) -> "Case":
        """Make a case from words; missing ones at the end take their defaults."""
        return cls(*(kind(word) for kind, word in zip((str, int, int, str, int, int), words, strict=False)))


CASES = [
    *(Case("process", columns) for columns in (1, 16, 64, 256, 4096)),
    *(Case("process", columns, substeps=1) for columns in (1, 64, 4096)),
    *(Case("hybrid", columns) for columns in (1, 16, 64, 256)),
    Case("hybrid", 4096, days=2),
    Case("hybrid", 64, hidden_size=32),
    Case("hybrid", 64, hidden_size=256),
    Case("hybrid", 64, states="none"),
    *(Case("hybrid", columns, substeps=1) for columns in (64, 256)),
    *(Case("network", columns) for columns in (1, 16, 64, 256)),
    Case("network", 4096, days=2),
    Case("network", 64, hidden_size=32),
    Case("network", 64, hidden_size=256),
    Case("hybrid", 1, days=8 * 365),  # eight years in one gradient, for its memory
]


class Made(NamedTuple):
    """Case ready to run: a loss of the arguments, and the loss with its gradient by the first of them."""

    functions: dict[str, Callable]
    arguments: tuple
    model: Any
    steps: int  # of all columns


def make(case: Case, forcing: Any = None) -> Made:
    """Set up a case with synthetic weather or a given forcing."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from bowen.land.land_classes import parameters_for
    from bowen.land.step import ImplicitStep
    from bowen.land.variables import initial_state
    from bowen.models.base import Process
    from bowen.models.hybrid import NUM_STATE_FEATURES, FluxNetwork, FluxScale, Hybrid, feed_back
    from bowen.models.lstm import LSTM
    from bowen.models.rollout import Inputs
    from bowen.training import devices
    from bowen.training.loss import predict
    from bowen.training.optimizer import trainable_leaves

    forcing = synthetic(case.days) if forcing is None else forcing
    length = len(forcing.air_temperature)
    features = jax.random.normal(jax.random.key(1), (length, FEATURES))
    inputs = Inputs(forcing, features, jnp.asarray(1800.0)).each(
        lambda x: jnp.broadcast_to(x[:, None], (length, case.columns, *x.shape[1:]))
    )
    base = parameters_for("ENF", reference_height=30.0, canopy_height=18.0)
    dynamic, key = ("minimum_stomatal_resistance", "roughness_ratio_log", "ground_albedo"), jax.random.key(0)
    feedback, step = feed_back if case.states == "fed" else None, ImplicitStep(substeps=case.substeps)

    def lstm(features):
        return LSTM(features, hidden_size=case.hidden_size, key=key)

    size = FEATURES + (NUM_STATE_FEATURES if feedback else 0)
    model = {
        "process": lambda: Process(base, ("minimum_stomatal_resistance", "root_zone_capacity"), solver=step),
        "hybrid": lambda: Hybrid(base, dynamic, network=lstm(size), state_feedback=feedback, solver=step),
        "network": lambda: FluxNetwork(FluxScale(jnp.zeros(2), jnp.ones(2)), network=lstm(FEATURES), key=key),
    }[case.model]()
    carry = jax.tree.map(
        lambda x: jnp.broadcast_to(x, (case.columns, *x.shape)), model.init(initial_state(base, jnp.asarray(283.0)))
    )
    moving, still = eqx.partition(model, trainable_leaves(model))
    mesh = devices.mesh_for(case.columns)

    def squares(moving, carry, inputs, _):
        none = jnp.zeros((case.days, inputs.features.shape[1]), bool)
        return (predict(eqx.combine(moving, still), carry, inputs, none)[1][0] ** 2).mean()

    def shared_out(function):
        def each(*arguments):
            return jax.lax.pmean(function(*arguments), devices.COLUMN)

        return lambda *arguments: devices.shard_columns(mesh, each, devices.REPLICATED)(*arguments, None)

    functions = {"forward": shared_out(squares), "gradient": shared_out(jax.value_and_grad(squares))}
    arguments = devices.place_on_devices(
        mesh, (moving, carry, inputs), (devices.REPLICATED, devices.COLUMNS_FIRST, devices.batch_specs(inputs))
    )
    return Made({name: jax.jit(of) for name, of in functions.items()}, arguments, model, length * case.columns)


def synthetic(days: int) -> Any:
    """Make the forcing of one column from synthetic weather."""
    import jax.numpy as jnp

    from bowen.experiments.twin_experiment import make_weather
    from bowen.land.variables import Forcing

    record = make_weather(days, 0)
    names = ("shortwave_down", "air_temperature", "specific_humidity", "air_pressure", "wind_speed", "precipitation")
    arrays = {name: jnp.asarray(record[name].values, jnp.float32) for name in names}
    return Forcing(**arrays, longwave_down=jnp.asarray(record["longwave_down"].values, jnp.float32))


def one_step(case: Case) -> dict[str, dict[str, float]]:
    """Count operations (by XLA, loop bodies once) and minimum bytes of a step of one column."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    columns, made = 8, make(case._replace(columns=8, days=1))
    _, carry, inputs = made.arguments
    now = jax.tree.map(lambda x: x[0], (inputs.forcing, inputs.features))
    arrays, rest = eqx.partition(made.model, eqx.is_inexact_array)

    def step(arrays, carry):
        def one(carry, now):
            carry, record = eqx.combine(arrays, rest).step(carry, *now, inputs.dt)
            return carry, record.observed()

        return jax.vmap(one)(carry, now)

    def back(arrays, carry):
        told, pull = jax.vjp(step, arrays, carry)
        return pull(jax.tree.map(jnp.ones_like, told))

    used = {"process": now[0], "hybrid": now, "network": now[1]}[case.model]
    bytes_once = sum(x[0].nbytes for x in jax.tree.leaves(used)) + 2 * 4  # the inputs, and two results
    told = {}
    for name, function, passes in (("forward", step, 1), ("gradient", back, 2)):
        cost = jax.jit(function).lower(arrays, carry).cost_analysis()
        told[name] = {kind: cost[kind] / columns for kind in ("flops", "transcendentals")}
        told[name]["bytes"] = passes * bytes_once
    return told


def operations(case: Case) -> dict[str, dict[str, float]]:
    """Count the same with the physics once per sub-step."""
    told, physics = one_step(case), one_step(Case("process", 1))
    if case.model != "network":
        for name in told:
            for kind in ("flops", "transcendentals"):
                told[name][kind] += (case.substeps - 1) * physics[name][kind]
    return told


def run(case: Case) -> dict:
    """Compile and time one case in this process."""
    import jax

    made = make(case)
    told = case._asdict() | {"operations": operations(case)}
    for name, function in made.functions.items():
        began = time.perf_counter()
        ready = function.lower(*made.arguments).compile()
        told[f"{name}_compile_s"] = round(time.perf_counter() - began, 1)
        jax.block_until_ready(ready(*made.arguments))
        times = repeated(lambda ready=ready: jax.block_until_ready(ready(*made.arguments)))
        told[f"{name}_per_s"] = round(made.steps / statistics.median(times))
        told[f"{name}_spread"] = round(spread(times), 2)
    told["gradient_over_forward"] = round(told["forward_per_s"] / told["gradient_per_s"], 2)
    told["peak_memory_MB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return told


def turns(case: Case) -> None:
    """Run one case on request of `turns.Worker`."""
    import jax

    import bowen

    made = make(case)
    serve(
        {
            name: lambda function=function: jax.block_until_ready(function(*made.arguments))
            for name, function in made.functions.items()
        },
        bowen=bowen.__file__,
        steps=made.steps,
    )


def rates() -> dict[str, float]:
    """Measure this machine on all devices, float32: matrix product, transcendental functions, memory stream."""
    import jax
    import jax.numpy as jnp

    from bowen.training import devices

    count = jax.device_count()
    mesh = devices.mesh_for(count)

    def best(function, *shape) -> float:
        each = jax.shard_map(function, mesh=mesh, in_specs=devices.COLUMNS_FIRST, out_specs=devices.COLUMNS_FIRST)
        ready, argument = (
            jax.jit(each),
            devices.place_on_devices(mesh, jnp.ones((count, *shape)), devices.COLUMNS_FIRST),
        )
        jax.block_until_ready(ready(argument))
        return min(repeated(lambda: jax.block_until_ready(ready(argument)), least=7)) / count

    def bent(x):  # independent of each other
        return jax.lax.fori_loop(0, 64, lambda _, x: x + sum(jnp.tanh(by * x) for by in (0.9, 0.8, 0.7, 0.6)), x)

    side, long, short = 2048, 1 << 24, 1 << 14
    return {
        "product_GFLOP_per_s": 2 * side**3 / best(lambda x: (x[0] @ x[0])[None], side, side) / 1e9,
        "transcendentals_G_per_s": 64 * 4 * short / best(bent, short) / 1e9,
        "stream_GB_per_s": 8 * long / best(lambda x: 2.0 * x + 1.0, long) / 1e9,
    }


def fraction(counted: dict[str, float], per_second: float, rate: dict[str, float]) -> float:
    """Compute the reached fraction of the attainable speed. [1]."""
    computing = counted["flops"] / rate["product_GFLOP_per_s"]
    computing += counted["transcendentals"] / rate["transcendentals_G_per_s"]
    return per_second * max(computing, counted["bytes"] / rate["stream_GB_per_s"]) / 1e9


def seconds(code: str) -> float:
    """Measure the median time of a Python process that runs `code`. [s]."""
    command = [sys.executable, "-c", code]
    times = repeated(lambda: subprocess.run(command, check=True, capture_output=True), least=7)
    return round(statistics.median(times), 2)


def alone(*arguments: str) -> dict:
    """Run this script in a process of its own and return the JSON that it prints."""
    command = [sys.executable, __file__, *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def main() -> None:
    """Run every case in a process of its own and write the table."""
    words = " ".join(Case._fields)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", metavar="WORD", help=f"run one, print JSON: {words}")
    parser.add_argument("--serve", nargs="+", metavar="WORD", help="run one each time a line asks for it")
    parser.add_argument("--rates", action="store_true", help="measure the machine, print JSON")
    parser.add_argument("--out", type=Path, default=Path("build"))
    chosen = parser.parse_args()
    case = Case.of(chosen.serve or chosen.case) if chosen.serve or chosen.case else None
    with contextlib.suppress(ImportError):  # in an older revision, whose command does not set it
        from bowen.cli.xla_flags import fuse_more

        fuse_more()
        from bowen.cli.xla_flags import use_cores

        use_cores()
        from bowen.cli.xla_flags import fuse_loops

        fuse_loops()
    if chosen.serve:
        return turns(case)
    if case or chosen.rates:
        print(json.dumps(run(case) if case else rates()))
        return None
    measured, rows = alone("--rates"), []
    for case in CASES:
        rows.append(alone("--case", *map(str, case)))
        print(rows[-1], file=sys.stderr, flush=True)
    measured = {name: round(max(rate, measured[name]), 2) for name, rate in alone("--rates").items()}
    for row in rows:
        for name, counted in row.pop("operations").items():
            row[f"{name}_of_limit"] = round(fraction(counted, row[f"{name}_per_s"], measured), 3)
    starts = {
        "import jax, equinox, optax": seconds("import jax, equinox, optax"),
        "import bowen": seconds("import bowen"),
        "import bowen; bowen.Hybrid, bowen.train": seconds("import bowen; bowen.Hybrid, bowen.train"),
        "bowen --help": seconds("import sys; sys.argv = ['bowen', '--help']; from bowen.cli import main; main()"),
    }
    notes = [f"{name}: {value}" for name, value in (measured | {f"`{k}` [s]": v for k, v in starts.items()}).items()]
    text = "\n".join([machine(), "", table(rows), "", *notes, ""])
    chosen.out.mkdir(exist_ok=True)
    (chosen.out / "bench.md").write_text(text)
    content = {"machine": machine(), "rates": measured, "rows": rows, "starts_s": starts}
    (chosen.out / "bench.json").write_text(json.dumps(content, indent=1))
    print(text)


if __name__ == "__main__":
    main()
