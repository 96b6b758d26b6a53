"""Trainings of columns that differ, to be compared between numbers of devices.

`python -m tests.devices.runs FOLDER MODEL... [--from FOLDER]` writes the progress after each update, and how it lay
over the devices; with `--from` it goes on from the second update of another folder.
"""

import argparse
import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from bowen.config.schema import TrainingConfig
from bowen.experiments.run_directory import load_arrays, save_arrays
from bowen.land.parameters import Parameters
from bowen.land.step import ImplicitStep
from bowen.land.surface_exchange import net_radiation_measured_if_available
from bowen.land.variables import initial_state
from bowen.models.base import AbstractLandModel, Process
from bowen.models.hybrid import FluxScale
from bowen.models.regionalization import Regionalization
from bowen.training import devices
from bowen.training.arrays import SiteArrays
from bowen.training.site_data import SiteData
from bowen.training.trainer import optimize_weights, train_state_shapes
from bowen.training.windows import WindowLoader
from tests import helpers

TOWERS, COLUMNS, HALFWAY = 5, 3, 2  # 15 columns, which eight devices cannot share out evenly
# So that the first moment of Adam after the first update is a tenth of the gradient.
TRAINING = TrainingConfig(
    updates=4, window_days=2, validate_every=1, windows_per_site=COLUMNS, spin_up_years=1, clip_gradient_norm=1e9
)


def tower(number: int) -> SiteData:
    """A tower that differs from the others in weather, length, parameters, and in what was measured when."""
    days, draws = 4 + number % 3, np.random.default_rng(number)
    targets = jnp.asarray(100.0 + 50.0 * draws.normal(size=(days * helpers.DAY, 2)))
    measured = jnp.asarray(draws.random(targets.shape) < 0.9 - 0.2 * number)
    inputs = helpers.driven_by_net_radiation(helpers.weather(days, mean=280.0 + 3.0 * number))
    series = SiteArrays(inputs, targets, measured, jnp.ones(targets.shape))
    base = dataclasses.replace(Parameters(), minimum_stomatal_resistance=80.0 + 40.0 * number)
    labels = np.where(np.arange(len(targets)) // helpers.DAY % 3 == 0, "validation", "train")
    site = helpers.site(base, [0.3 * number - 0.4], number)
    return SiteData.from_parts(
        f"XX-{number}", series, site, initial_state(base, jnp.asarray(275.0 + 5.0 * number)), labels
    )


def model(kind: str) -> AbstractLandModel:
    base, key, learned = Parameters(), jax.random.key(0), ("root_zone_capacity", "closure_fraction")
    step = ImplicitStep(substeps=1, iterations=2, net_radiation=net_radiation_measured_if_available)  # quick to compile
    regional = Regionalization(
        ("root_zone_capacity",), num_attributes=1, site_specific=("closure_fraction",), num_sites=TOWERS
    )
    sizes = {"features": 5, "hidden_size": 4, "key": key}
    if kind == "process":
        return Process(base, learned, solver=step, regionalization=regional)
    if kind == "network":
        return helpers.lstm_fluxes(scale=FluxScale(jnp.full(2, 50.0), jnp.full(2, 100.0)), **sizes)
    dynamic = ("minimum_stomatal_resistance", "ground_albedo")
    return helpers.restless(
        helpers.lstm_hybrid(base, dynamic, static=learned, solver=step, regionalization=regional, **sizes), key, 0.3
    )


def layout(tree) -> list[tuple[int, list[int]]]:
    """How many devices have a part of each array, and the shape of a part."""
    arrays = [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array)]
    return [(len(x.sharding.device_set), x.addressable_shards[0].data.shape) for x in arrays]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--from", dest="other", type=Path)
    chosen = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    streams = WindowLoader([tower(number) for number in range(TOWERS)], windows_per_site=COLUMNS, window=2, seed=0)
    told, gather = (
        {"batch": layout((streams.batch(0).targets, streams.batch(0).inputs.forcing))},
        devices.gather_from_devices,
    )

    def looked_at(mesh, progress, *where):
        told["carry"], told["validation_sums"], told["model"] = map(
            layout, (progress.carry, progress.validation_sums, progress.model)
        )
        return gather(mesh, progress, *where)

    devices.gather_from_devices = looked_at
    for kind in chosen.models:
        begun, progress = model(kind), None
        if chosen.other:
            like = train_state_shapes(begun, streams, TRAINING)
            progress, _ = load_arrays(chosen.other / f"{kind}-{HALFWAY}.npz", like)

        def save(progress, history, kind=kind):
            row = history[-1]
            scores = (row.step, row.loss, row.validation_latent_heat, row.validation_sensible_heat)
            save_arrays(chosen.folder / f"{kind}-{row.step + 1}.npz", progress, (scores,))

        optimize_weights(begun, streams, TRAINING, state=progress, watch=save)
    (chosen.folder / "layout.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
