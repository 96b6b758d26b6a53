"""Speed of bowen and of other models on this machine, in one run; the models of a group run in turn.

python benchmarks/peers.py [--canveg FOLDER]

A model that is not installed is skipped with a message that names the missing package. To install all of them:
`pip install torch dmg hydrodl2 hydroeval pyproj requests scikit-learn`, and for JAX-CanVeg a checkout of its repository
(github.com/pnnl/JAX-CanVeg) in FOLDER. Prints Markdown and writes build/peers.json.

Rates count different steps, as the table says: a step of bowen is a half-hour in two sub-steps (one in the examples of
many towers), with the energy balance solved; one of dMG's HBV is a day of a water bucket. JAX-CanVeg takes as input the
soil moisture and temperature that bowen predicts, and its half-hours are independent of each other, so it needs no loop
over time; in turn it resolves the canopy and its carbon. All use two cores and float32. PyTorch is also run with one
thread, because its two threads wait for each other, and lose more on a busy machine.
"""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from speed import FEATURES, Case, make, synthetic
from turns import Failed, Worker, machine, middle, serve, table

from bowen.cli.xla_flags import fuse_loops, fuse_more, use_cores

THREADS, COLUMNS, HIDDEN, DAYS, BASIN_DAYS = 2, 64, 64, 30, 365
SITE = Path("data/fluxtower/US-Me2/US-Me2-forcings-test.csv")
STEP, FORWARD = "training step", "forward"
GROUPS = {  # models that run in turn; those of bowen come last
    f"{STEP}, {COLUMNS} columns, {DAYS} days of half-hours, hidden {HIDDEN}": [
        "PyTorch LSTM, 1 thread", "PyTorch LSTM", "bowen Network", "bowen Hybrid",
    ],
    f"{STEP} of an LSTM and a process model, {COLUMNS} columns": [
        "dMG LSTM + HBV, 1 thread", "dMG LSTM + HBV", "dMG LSTM + 16 HBV, 1 thread", "bowen Hybrid",
    ],
    f"{FORWARD}, weather of US-Me2, {DAYS} days": [
        "JAX-CanVeg, 1 layer", "JAX-CanVeg, 50 layers", "bowen Process", "bowen Process, 1 sub-step",
        "bowen Process, 4096 columns", "bowen Process, 4096 columns, 1 sub-step",
    ],
}  # fmt: skip


def network_of_torch(folder: str, threads: int = THREADS) -> None:
    """Train `torch.nn.LSTM` and a linear head with Adam."""
    import torch

    torch.set_num_threads(threads)
    features = torch.randn(DAYS * 48, COLUMNS, FEATURES)
    memory, head = torch.nn.LSTM(FEATURES, HIDDEN), torch.nn.Linear(HIDDEN, 2)
    descend = torch.optim.Adam([*memory.parameters(), *head.parameters()])

    def step():
        descend.zero_grad()
        (head(memory(features)[0]) ** 2).mean().backward()
        descend.step()

    serve({"run": step}, steps=DAYS * 48 * COLUMNS, unit="half-hour", versions=versions("torch"))


def hybrid_of_dmg(folder: str, members: int, threads: int = THREADS) -> None:
    """Train the differentiable HBV of hydrodl2 with the LSTM of dMG, three dynamic parameters, with Adam."""
    import torch
    from dmg.models.delta_models.dpl_model import DplModel
    from dmg.models.neural_networks.lstm import LstmModel
    from hydrodl2.models.hbv.hbv import Hbv

    torch.set_num_threads(threads)
    moving = {"Hbv": ["parBETA", "parK0", "parBETAET"]}
    physics = Hbv({"dynamic_params": moving, "nmul": members}, device="cpu")
    network = LstmModel(nx=FEATURES, ny=physics.learnable_param_count, hidden_size=HIDDEN, dr=0.0)
    model = DplModel(phy_model=physics, nn_model=network)
    weather = torch.rand(BASIN_DAYS, COLUMNS, 3) * torch.tensor([10.0, 20.0, 5.0])  # mm, degC, mm
    given = {"x_phy": weather, "xc_nn_norm": torch.randn(BASIN_DAYS, COLUMNS, FEATURES)}
    descend = torch.optim.Adam(model.parameters())

    def step():
        descend.zero_grad()
        (model(given)["streamflow"] ** 2).mean().backward()
        descend.step()

    told = versions("torch", "dmg", "hydrodl2")
    serve({"run": step}, steps=BASIN_DAYS * COLUMNS, unit="day", versions=told)


def canopy_of_canveg(folder: str, layers: str) -> None:
    """Run untrained JAX-CanVeg at US-Me2 as set up in its repository, a month, which is faster than a year."""
    from types import ModuleType

    import equinox as eqx
    import jax
    import jax.numpy as jnp

    clip = jnp.clip  # JAX has renamed two arguments; the dispersion matrix is read, not computed
    jnp.clip = lambda x, a_min=None, a_max=None, **bounds: clip(x, a_min, a_max, **bounds)
    unused = ModuleType("dispersion")
    unused.disp_mx = None
    sys.modules["jax_canveg.physics.energy_fluxes.dispersion"] = unused
    sys.path.insert(0, str(Path(folder) / "src"))
    import jax_canveg  # noqa: F401

    theirs = sys.modules["jax_canveg.train_model"]
    os.chdir(Path(folder) / "examples" / "US-Me2" / f"PB-{layers}-0.5")
    settings = json.loads(Path("configs.json").read_text())
    weather, length = theirs.get_met_forcings(settings["data"]["test forcings"])
    count = DAYS * 48
    weather = jax.tree.map(lambda x: x[:count] if eqx.is_array(x) and x.shape[:1] == (length,) else x, weather)
    nothing = theirs.Obs(*[jnp.zeros(5)] * 9)
    model = theirs.get_model(settings["model configurations"], weather, nothing, count)[0]
    ready = eqx.filter_jit(lambda model, weather: model(weather)[0][-1])
    serve({"run": lambda: jax.block_until_ready(ready(model, weather))}, steps=count, unit="half-hour",
          versions=versions("jax"))  # fmt: skip


def ours_in_training(folder: str, model: str) -> None:
    """Train a model of bowen: forward pass, gradient and Adam."""
    import jax
    import optax

    made = make(Case(model, COLUMNS, HIDDEN), synthetic(DAYS))
    moving, *rest = made.arguments
    descend = optax.adam(1e-3)

    @jax.jit
    def step(moving, moments):
        value, gradient = made.functions["gradient"](moving, *rest)
        change, moments = descend.update(gradient, moments)
        return value, optax.apply_updates(moving, change), moments

    now = [None, moving, descend.init(moving)]

    def run():
        now[:] = jax.block_until_ready(step(*now[1:]))

    serve({"run": run}, steps=made.steps, unit="half-hour", versions=versions("jax"))


def ours_forward(folder: str, columns: int, substeps: int) -> None:
    """Run the physics of bowen with the weather in the repository of JAX-CanVeg."""
    import jax
    import jax.numpy as jnp

    import bowen
    from bowen.data import fill_forcing
    from bowen.data.features import FEATURE_FORCING
    from bowen.land.variables import Forcing

    site = {"site": "US-Me2", "igbp": "ENF", "latitude": 44.4523, "longitude": -121.5574, "elevation": 1253.0,
            "reference_height": 34.0, "canopy_height": 18.0, "utc_offset_hours": -8.0}  # fmt: skip
    record = fill_forcing(bowen.read(Path(folder) / SITE, site=site)).isel(time=slice(DAYS * 48))
    arrays = {name: jnp.asarray(record[name].values, jnp.float32) for name in FEATURE_FORCING}
    forcing = Forcing(**arrays, longwave_down=jnp.asarray(record["longwave_down"].values, jnp.float32))
    made = make(Case("process", columns, substeps=substeps), forcing)
    ready = made.functions["forward"]
    serve({"run": lambda: jax.block_until_ready(ready(*made.arguments))}, steps=made.steps, unit="half-hour",
          versions=versions("jax"))  # fmt: skip


WORKS: dict[str, tuple[Callable, tuple]] = {
    "PyTorch LSTM, 1 thread": (network_of_torch, (1,)),
    "PyTorch LSTM": (network_of_torch, ()),
    "dMG LSTM + HBV, 1 thread": (hybrid_of_dmg, (1, 1)),
    "dMG LSTM + HBV": (hybrid_of_dmg, (1,)),
    "dMG LSTM + 16 HBV, 1 thread": (hybrid_of_dmg, (16, 1)),
    "JAX-CanVeg, 1 layer": (canopy_of_canveg, ("1L",)),
    "JAX-CanVeg, 50 layers": (canopy_of_canveg, ("ML",)),
    "bowen Network": (ours_in_training, ("network",)),
    "bowen Hybrid": (ours_in_training, ("hybrid",)),
    "bowen Process": (ours_forward, (1, 2)),
    "bowen Process, 1 sub-step": (ours_forward, (1, 1)),
    "bowen Process, 4096 columns": (ours_forward, (4096, 2)),
    "bowen Process, 4096 columns, 1 sub-step": (ours_forward, (4096, 1)),
}


def versions(*names: str) -> dict[str, str]:
    """Return the versions of packages."""
    return {name: version(name) for name in names}


def measured(names: list[str], folder: str, rounds: int) -> tuple[list[dict], list[str]]:
    """Measure a group in turn; return its rates, and messages about models that cannot run here."""
    command = [sys.executable, "-W", "ignore", __file__, "--canveg", folder, "--serve"]
    untold, workers, about = [], {}, {}
    with contextlib.ExitStack() as ends:
        for name in names:
            if name.startswith("bowen") and not workers:
                return [], untold  # no other model to compare with
            worker = ends.enter_context(Worker([*command, name]))
            try:
                about[name] = worker.about()
                workers[name] = worker
            except Failed as failed:
                untold.append(f"{name} is left out: {failed}")
        rates = {name: [] for name in workers}
        for _ in range(rounds):
            for name, worker in workers.items():
                rates[name].append(about[name]["steps"] / worker.turn("run"))
    rows = [{"name": name, "rates": rates[name], **about[name]} for name in workers]
    return rows, untold


def beside(rows: list[dict]) -> list[dict[str, str]]:
    """Make one table row per model: its rate, and the speed of each model of bowen relative to it."""
    told = []
    ours = [row for row in rows if row["name"].startswith("bowen")]
    for row in rows:
        ratios = [[a / b for a, b in zip(one["rates"], row["rates"], strict=True)] for one in ours]
        told.append(
            {"model": row["name"], "a step is a": row["unit"], "steps/s": middle(row["rates"], ",.0f")}
            | {f"{one['name']}, times as fast": middle(ratio) for one, ratio in zip(ours, ratios, strict=True)}
        )
    return told


def main() -> None:
    """Measure group by group, print tables and write build/peers.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--canveg", default="", help="folder of a checkout of JAX-CanVeg")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each")
    parser.add_argument("--serve", choices=WORKS, help="run one each time a line asks for it")
    parser.add_argument("--out", type=Path, default=Path("build"))
    chosen = parser.parse_args()
    if chosen.serve:
        work, arguments = WORKS[chosen.serve]
        if chosen.serve.startswith("bowen"):
            fuse_more()  # as the command does
            fuse_loops()
            use_cores()
        return work(chosen.canveg, *arguments)
    if hasattr(os, "sched_setaffinity"):  # child processes use as many threads as cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    content, found = {}, {}
    print(f"{machine()}; {THREADS} threads; medians of {chosen.rounds} turns, quartiles in parentheses\n")
    for group, names in GROUPS.items():
        if not chosen.canveg and "US-Me2" in group:
            print("JAX-CanVeg is left out: `--canveg FOLDER` names no checkout of it.\n")
            continue
        rows, untold = measured(names, chosen.canveg, chosen.rounds)
        print(group, "", *untold, sep="\n", end="\n\n" if untold else "\n", flush=True)
        if not rows:
            continue
        content[group] = rows
        found |= {name: number for row in rows for name, number in row["versions"].items()}
        print(f"{table(beside(rows))}\n", flush=True)
    print(", ".join(f"{name} {number}" for name, number in found.items()))
    chosen.out.mkdir(exist_ok=True)
    told = {"machine": machine(), "threads": THREADS, "versions": found, "groups": content}
    (chosen.out / "peers.json").write_text(json.dumps(told, indent=1))
    return None


if __name__ == "__main__":
    main()
