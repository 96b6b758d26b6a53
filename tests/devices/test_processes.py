"""Processes that train one model together: the weights of one process, written by the first alone."""

import os
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

from bowen.training.trainer import ValidationRow
from tests.experiment.conftest import SETTINGS

pytestmark = pytest.mark.slow
DAYS = 16
TRAIN = "import sys; from bowen.cli import app; app(sys.argv[1:])"
STOP = """
import os, signal, sys
from pathlib import Path
from bowen.experiments import run as experiment

def watch(config, history):
    if len(history) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

experiment.train_run(experiment.load_config(Path(sys.argv[1])), Path(sys.argv[2]), watch=watch)
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """A configuration with three columns that spin up, beside its record: of two processes one has a column more."""
    from bowen.data import to_alma, write_netcdf
    from bowen.experiments.twin_experiment import make_twin

    folder = tmp_path_factory.mktemp("tower")
    write_netcdf(to_alma(make_twin(DAYS)[0]), folder / "twin.nc")
    path = folder / "tiny.toml"
    text = SETTINGS.replace("[model]", '[model]\nkind = "network"').replace("float32", "float64")
    path.write_text(text.replace("spin_up_years = 4", "spin_up_years = 1") + "windows_per_site = 3\n")
    return path


def start(code, *arguments, count=1, **environment):
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_"))}
    flags = f"--xla_force_host_platform_device_count={count} --xla_backend_optimization_level=0"  # quick to compile
    plain |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, env=plain | environment, stdout=-1, stderr=-1, text=True)


def finished(process):
    """Exit code, stdout and stderr of a process, when it has ended."""
    said = process.communicate(timeout=300)
    return (process.returncode, *said)


def together(settings, *folders):
    """Train in one process for each folder, of two devices each."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    told = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": str(len(folders))}
    words = ("train", settings, "--distributed", "--out")
    running = [
        start(TRAIN, *words, folder, count=2, JAX_PROCESS_ID=str(number), **told)
        for number, folder in enumerate(folders)
    ]
    return [finished(process) for process in running]


@pytest.fixture(scope="module")
def alone(settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone") / "run"
    code, _, said = finished(start(TRAIN, "train", settings, "--out", folder))
    assert code == 0, said
    return folder


def assert_same_training(folder, other):
    for name in ("weights.npz", "checkpoint.npz"):
        with np.load(folder / name) as mine, np.load(other / name) as theirs:
            assert set(mine.files) == set(theirs.files)
            for place in theirs.files:
                values, found = theirs[place], mine[place]
                if place == "history":
                    rows = (x.reshape(-1, len(ValidationRow._fields)) for x in (values, found))
                    values, found = (np.delete(x, ValidationRow._fields.index("seconds"), axis=1) for x in rows)
                size = np.nanmax(np.abs(values), initial=0.0)
                np.testing.assert_allclose(found, values, rtol=1e-11, atol=1e-11 * size, err_msg=place)


def test_two_processes_train_as_one_and_the_first_writes(settings, alone, tmp_path):
    first, second = together(settings, tmp_path / "run", tmp_path / "nothing")
    assert first[0] == second[0] == 0, first[2] + second[2]
    assert_same_training(tmp_path / "run", alone)
    assert not (tmp_path / "nothing").exists()
    assert "Trained" in first[2] and not second[2]
    assert str(tmp_path) in first[1] and str(tmp_path) not in second[1]  # where gloo writes as well


def test_two_processes_go_on_with_what_one_began(settings, alone, tmp_path):
    folder = tmp_path / "run"
    code, _, said = finished(start(STOP, settings, folder))
    assert code == -signal.SIGKILL, said
    for code, _, said in together(settings, folder, tmp_path / "not shared"):
        assert code == 1 and "would go on from different updates (0, 8)" in said
    for code, _, said in together(settings, folder, folder):
        assert code == 0, said
    assert_same_training(folder, alone)


def test_a_process_that_finds_no_others_says_so(settings, tmp_path):
    code, _, said = finished(start(TRAIN, "train", settings, "--distributed", "--out", tmp_path / "run"))
    assert code == 2 and "does not find the others" in said
