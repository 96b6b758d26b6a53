"""A training that is killed goes on, and ends in the same bits as one that was not."""

import shutil
import signal

import numpy as np
import pytest

from bowen.experiments.run_directory import read_history
from bowen.training.trainer import ValidationRow

KILL = """
import os, signal, sys
from pathlib import Path
from bowen.experiments import run as experiment
from bowen.experiments import run_directory

config, folder, when = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
saved = []

def killing(save):
    def wrapped(path, *arguments):
        saved.append(path.name)
        if when == "while saving" and saved.count("weights.npz") == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        save(path, *arguments)
    return wrapped

def watch(config, history):
    if when == "between saves" and len(history) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

run_directory.save_arrays = killing(run_directory.save_arrays)
experiment.train_run(experiment.load_config(config), folder, watch=watch)
"""
GO_ON = "import sys; from bowen.cli import app; app(sys.argv[1:])"


def arrays(path):
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


@pytest.mark.slow
@pytest.mark.parametrize("when", ["between saves", "while saving"])
def test_killed_and_run_again_it_ends_in_the_same_bits(elsewhere, hybrid, tmp_path, when):
    folder = tmp_path / "run"
    settings = shutil.copy(hybrid / "config.toml", tmp_path / "config.toml")
    killed = elsewhere(KILL, settings, folder, when)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(read_history(folder / "history.csv")) < 5

    again = elsewhere(GO_ON, "train", settings, "--out", folder)
    assert again.returncode == 0, again.stderr
    for name in ("weights.npz", "checkpoint.npz"):
        straight, resumed = arrays(hybrid / name), arrays(folder / name)
        for table in (straight, resumed):
            table["history"].reshape(-1, len(ValidationRow._fields))[:, ValidationRow._fields.index("seconds")] = (
                0.0  # in place
            )
        assert set(straight) == set(resumed)
        for place, values in straight.items():
            np.testing.assert_array_equal(resumed[place], values, err_msg=place, strict=True)
    columns = ["step", "loss", "validation"]
    assert read_history(folder / "history.csv")[columns].equals(read_history(hybrid / "history.csv")[columns])
