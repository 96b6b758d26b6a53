"""The same training on one device, on eight and in two processes: the same numbers to round-off, resumed or not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from bowen.training import devices
from tests.devices.runs import COLUMNS, HALFWAY, TOWERS, TRAINING

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
KINDS = ("process", "hybrid", "network")
MANY = 8


def run(folder, count, *arguments):
    """Train on a number of devices in a process of its own."""
    folder.mkdir()
    flags = f"--xla_force_host_platform_device_count={count} --xla_backend_optimization_level=0"  # quick to compile
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_"))}
    command = [sys.executable, "-W", "error", "-m", "tests.devices.runs", folder, *arguments]
    subprocess.run(command, env=plain | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}, cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    return run(tmp_path_factory.mktemp("one") / "run", 1, *KINDS)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return run(tmp_path_factory.mktemp("many") / "run", MANY, *KINDS)


def arrays(path):
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def assert_equal_to_round_off(path, other):
    mine, theirs = arrays(path), arrays(other)
    assert set(mine) == set(theirs)
    for place, values in theirs.items():
        size = np.abs(values[np.isfinite(values)]).max(initial=0.0)
        np.testing.assert_allclose(mine[place], values, rtol=1e-12, atol=1e-12 * size, err_msg=place)


@pytest.mark.parametrize("kind", KINDS)
def test_many_devices_train_as_one(one, many, kind):
    """What every update learns, carries and scores; the first moment of Adam after the first is the gradient."""
    for number in range(1, TRAINING.updates + 1):
        assert_equal_to_round_off(many / f"{kind}-{number}.npz", one / f"{kind}-{number}.npz")
    begun = arrays(one / f"{kind}-1.npz")
    gradient = {place: values for place, values in begun.items() if "/mu/" in place}
    assert gradient and all(np.abs(values).max() > 0.0 for values in gradient.values())


def test_each_device_has_its_columns_and_all_of_the_model(many):
    layout = json.loads((many / "layout.json").read_text())
    each = -(-TOWERS * COLUMNS // MANY)
    assert {(devices, shape[1]) for devices, shape in layout["batch"] + layout["validation_sums"]} == {(MANY, each)}
    assert {(devices, shape[0]) for devices, shape in layout["carry"]} == {(MANY, each)}
    assert {devices for devices, _ in layout["model"]} == {MANY}


@pytest.mark.parametrize(("before", "after"), [("one", MANY), ("many", 1)])
def test_a_training_goes_on_on_another_number_of_devices(request, tmp_path, one, before, after):
    folder = run(tmp_path / "run", after, "network", "--from", request.getfixturevalue(before))
    for number in range(HALFWAY + 1, TRAINING.updates + 1):
        assert_equal_to_round_off(folder / f"network-{number}.npz", one / f"network-{number}.npz")


@pytest.mark.parametrize(
    ("columns", "used", "each"), [(16, 8, 2), (12, 6, 2), (15, 8, 2), (65, 8, 9), (11, 6, 2), (3, 3, 1)]
)
def test_no_device_has_more_columns_than_it_must(monkeypatch, columns, used, each):
    here = jax.devices()
    monkeypatch.setattr(jax, "devices", lambda: here * MANY)
    mesh = devices.mesh_for(columns)
    which, counts = devices.local_columns(mesh, columns)
    assert (mesh.size, len(which)) == (used, used * each)
    assert set(which) == set(range(columns)) and (which[:columns] == np.arange(columns)).all()
    assert counts.mean() == pytest.approx(1.0) and (counts[columns:] == 0.0).all() and len(set(counts[:columns])) == 1
