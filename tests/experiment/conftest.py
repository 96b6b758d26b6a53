"""A small record, and one comparison on it that the tests share: compiling is what takes the time."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import pytest
from typer.testing import CliRunner

from bowen.cli import app
from bowen.data import to_alma, write_netcdf
from bowen.experiments.twin_experiment import make_twin

DAYS = 20
SETTINGS = """
[data]
met = "twin.nc"
soil = "CMF"

[split]
days = 2

[model]
dynamic = ["minimum_stomatal_resistance"]
static = ["root_zone_capacity"]
hidden_size = 4
substeps = 1
newton_iterations = 3
precision = "float32"

[training]
updates = 16
learning_rate = 0.02
window_days = 4
validate_every = 4
spin_up_years = 4
"""


@pytest.fixture(scope="session")
def bowen() -> Callable[..., Any]:
    """Runs a command in this process; gives its exit code, stdout and stderr."""

    def run(*arguments: object, code: int = 0) -> Any:
        with jax.numpy_dtype_promotion("standard"):  # optax counts in integers
            result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.stderr
        return result

    return run


@pytest.fixture(scope="session")
def elsewhere() -> Callable[..., Any]:
    """Runs Python code in a new process, in single precision and without the strictness of the tests."""

    def run(code: str, *arguments: object) -> Any:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
        command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
        return subprocess.run(command, env=plain, capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration beside its record."""
    folder = tmp_path_factory.mktemp("tower")
    write_netcdf(to_alma(make_twin(DAYS)[0]), folder / "twin.nc")
    path = folder / "tiny.toml"
    path.write_text(SETTINGS)
    return path


@pytest.fixture(scope="session")
def comparison(bowen: Callable[..., Any], configuration: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a comparison."""
    folder = tmp_path_factory.mktemp("comparison")
    bowen("train", configuration, "--out", folder, "--baselines")
    return folder


@pytest.fixture(scope="session")
def hybrid(comparison: Path) -> Path:
    """A trained run."""
    return comparison / "hybrid"
