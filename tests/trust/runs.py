"""A small run to damage."""

from pathlib import Path

import jax

from bowen.data import to_alma, write_netcdf
from bowen.experiments.run import load_config, train_run
from bowen.experiments.twin_experiment import make_twin

SETTINGS = """
[data]
met = "twin.nc"
soil = "CMF"

[split]
days = 2

[model]
kind = "process"
dynamic = []
static = ["root_zone_capacity"]
substeps = 1
newton_iterations = 3
precision = "float32"

[training]
updates = {updates}
window_days = 4
validate_every = 2
spin_up_years = 1
"""


def write_configuration(folder: Path, updates: int = 4) -> Path:
    """Write a configuration beside its record."""
    if not (folder / "twin.nc").exists():
        write_netcdf(to_alma(make_twin(20)[0]), folder / "twin.nc")
    path = folder / "small.toml"
    path.write_text(SETTINGS.format(updates=updates))
    return path


def train_small(folder: Path) -> Path:
    """Train a process for four updates; returns its run directory."""
    config = load_config(write_configuration(folder))
    with jax.numpy_dtype_promotion("standard"):  # optax counts in integers
        train_run(config, folder / "run")
    return folder / "run"
