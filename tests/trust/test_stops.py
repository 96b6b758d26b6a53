"""A command that is stopped leaves whole files, goes on to the same bits, and clears up after itself."""

import os
import random
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from bowen.experiments.run_directory import read_arrays
from bowen.files import replace_atomically, temporary_folder
from bowen.training.trainer import ValidationRow
from tests.trust.runs import write_configuration

COMMAND = [sys.executable, "-c", "from bowen.cli import main; main()"]
UPDATES = 40


def start(*arguments):
    """A command of bowen in a process of its own."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.Popen(command, env=plain, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path, process):
    while not path.exists() and process.poll() is None:
        time.sleep(0.02)


def hidden(folder):
    return [path.name for path in folder.rglob(".*")]


def test_sigterm_stops_as_ctrl_c_does(tmp_path):
    training = start("train", write_configuration(tmp_path, 100_000), "--out", tmp_path / "run")
    wait_for(tmp_path / "run" / "history.csv", training)
    training.send_signal(signal.SIGTERM)
    _, said = training.communicate(timeout=120)
    assert training.returncode == 143, said
    assert "Stopped. All files are whole" in said and "Traceback" not in said
    assert read_arrays(tmp_path / "run" / "checkpoint.npz") and not hidden(tmp_path)


def bits(folder):
    """The arrays of a run, but for the time that its updates took."""
    found = {}
    for name in ("weights.npz", "checkpoint.npz"):
        for place, values in read_arrays(folder / name).items():
            if place == "history":
                values = np.delete(values, ValidationRow._fields.index("seconds"), axis=1)
            found[f"{name} {place}"] = values
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_time_it_ends_in_the_same_bits(tmp_path, seed):
    chance = random.Random(seed)
    config = write_configuration(tmp_path, UPDATES)
    straight = start("train", config, "--out", tmp_path / "straight")
    began = time.monotonic()
    _, said = straight.communicate()
    assert straight.returncode == 0, said
    duration = time.monotonic() - began
    for _ in range(12):
        training = start("train", config, "--out", tmp_path / "killed")
        with_signal = chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        try:
            training.wait(chance.uniform(0.3, 1.0) * duration)
        except subprocess.TimeoutExpired:
            training.send_signal(with_signal)
        _, said = training.communicate(timeout=300)
        assert training.returncode in (0, 130, 143, -with_signal), said
    last = start("train", config, "--out", tmp_path / "killed")
    _, said = last.communicate()
    assert last.returncode == 0, said
    expected, found = bits(tmp_path / "straight"), bits(tmp_path / "killed")
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name, strict=True)
    assert not hidden(tmp_path)


def leave(folder, name, process):
    """What a process that was killed leaves."""
    left = folder / f".{name}.{socket.gethostname()[:32]}.{process}.abc"
    left.write_text("half")
    return left


def a_dead_process():
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_the_next_write_removes_what_a_killed_one_left(tmp_path):
    dead, alive = leave(tmp_path, "a.nc", a_dead_process()), leave(tmp_path, "a.nc", os.getppid())
    other = leave(tmp_path, "b.nc", a_dead_process())
    with replace_atomically(tmp_path / "a.nc") as temporary:
        temporary.write_text("whole")
    assert not dead.exists() and alive.exists() and other.exists()
    assert (tmp_path / "a.nc").read_text() == "whole"


def test_the_next_folder_removes_what_a_killed_one_left(tmp_path):
    left = leave(tmp_path, "a.zarr", a_dead_process())
    left.unlink()
    (left / "part").mkdir(parents=True)
    with temporary_folder(tmp_path, "a.zarr") as folder:
        assert list(tmp_path.iterdir()) == [folder]
    assert list(tmp_path.iterdir()) == []
