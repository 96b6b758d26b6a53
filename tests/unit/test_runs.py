"""A run directory is whole, or says what is wrong with it; nothing in it is ever executed."""

import contextlib
import errno
import json
import os
import resource
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from bowen.config.schema import Config, DataConfig, ModelConfig, dumps
from bowen.errors import RunError
from bowen.experiments import run_directory
from bowen.experiments.run import check_same_run

TREE = {"cell": {"weight": jnp.arange(12.0).reshape(3, 4)}, "step": jnp.asarray(7), "still": "not an array"}
HISTORY = ((0, 0.5, 0.1), (10, 0.25, 0.3))
META = {"fingerprints": ["abc"], "site": {"igbp": "MF"}, "scaler": {"mean": {"wind_speed": 2.5}}}


@pytest.fixture
def weights(tmp_path):
    run_directory.save_arrays(tmp_path / "weights.npz", TREE, HISTORY)
    return tmp_path / "weights.npz"


@pytest.fixture
def folder(tmp_path):
    run_directory.write_meta(tmp_path / "run", dumps(Config(data=DataConfig(met=Path("Met.nc")))), META)
    return tmp_path / "run"


def is_what_was_saved(path):
    tree, history = run_directory.load_arrays(path, TREE)
    np.testing.assert_array_equal(tree["cell"]["weight"], TREE["cell"]["weight"], strict=True)
    assert tree["step"] == 7 and tree["step"].dtype == TREE["step"].dtype
    assert tree["still"] == "not an array"
    return np.array_equal(history, HISTORY)


def test_what_is_saved_is_loaded(weights):
    assert is_what_was_saved(weights)


def test_arrays_come_in_the_precision_that_is_asked_for(weights):
    like = {**TREE, "cell": {"weight": TREE["cell"]["weight"].astype(jnp.float32)}}
    assert run_directory.load_arrays(weights, like)[0]["cell"]["weight"].dtype == jnp.float32


def test_a_flipped_byte_is_noticed_or_harmless(weights):
    sound = weights.read_bytes()
    noticed = 0
    for at in range(0, len(sound), 3):
        damaged = bytearray(sound)
        damaged[at] ^= 0xFF
        weights.write_bytes(damaged)
        try:
            assert is_what_was_saved(weights), f"byte {at} changed what was read"
        except RunError as problem:
            assert "is damaged" in str(problem)
            noticed += 1
    assert noticed > len(sound) / 6


def test_every_flipped_byte_of_the_values_is_noticed(weights):
    sound = weights.read_bytes()
    at = sound.index(np.asarray(TREE["cell"]["weight"]).tobytes())
    for place in range(at, at + 96):
        damaged = bytearray(sound)
        damaged[place] ^= 1
        weights.write_bytes(damaged)
        with pytest.raises(RunError, match="CRC"):
            run_directory.load_arrays(weights, TREE)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_file_that_was_cut_is_noticed(weights, share):
    sound = weights.read_bytes()
    weights.write_bytes(sound[: int(share * len(sound))])
    with pytest.raises(RunError, match=r"weights.npz: is damaged(.|\n)*restore it from a copy"):
        run_directory.load_arrays(weights, TREE)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


@pytest.mark.parametrize("save", [np.savez, np.save], ids=["archive", "array"])
def test_nothing_is_unpickled(tmp_path, monkeypatch, save):
    monkeypatch.chdir(tmp_path)
    with (tmp_path / "weights.npz").open("wb") as file:
        save(file, np.asarray([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(RunError, match="is damaged"):
        run_directory.load_arrays(tmp_path / "weights.npz", TREE)
    assert not (tmp_path / "exploded").exists()


def test_an_object_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle=False"):
        run_directory.save_arrays(tmp_path / "weights.npz", {"a": np.asarray([Bomb()], dtype=object)})


def test_a_parameter_declared_since_is_as_it_comes(weights):
    newer = {**TREE, "base": {"max_drainage": jnp.asarray(3.0)}}
    assert run_directory.load_arrays(weights, newer)[0]["base"]["max_drainage"] == 3.0


def test_weights_of_another_model_are_refused(weights):
    with pytest.raises(RunError, match=r"does not fit the configuration .* such as cell/bias"):
        run_directory.load_arrays(weights, {**TREE, "cell": {**TREE["cell"], "bias": jnp.zeros(3)}})
    with pytest.raises(RunError, match=r"1 arrays differ, such as cell/weight"):
        run_directory.load_arrays(weights, {**TREE, "cell": {"weight": jnp.zeros((4, 4))}})


def test_weights_that_are_not_there(tmp_path):
    with pytest.raises(RunError, match=r"is not there(.|\n)*bowen train"):
        run_directory.load_arrays(tmp_path / "weights.npz", TREE)


@contextlib.contextmanager
def full_disk():
    """No file may grow beyond 1 kB, as on a disk that is almost full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_when_the_disk_is_full_what_was_saved_stays(weights):
    larger = {**TREE, "cell": {"weight": jnp.zeros((64, 64))}}
    with full_disk(), pytest.raises(RunError, match=r"cannot be written(.|\n)*existing files are unchanged"):
        run_directory.save_arrays(weights, larger)
    assert is_what_was_saved(weights)
    assert [path.name for path in weights.parent.iterdir()] == ["weights.npz"]


def test_when_the_disk_is_full_at_the_very_end_what_was_saved_stays(weights, monkeypatch):
    def no_space(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(RunError, match="No space left on device"):
        run_directory.save_arrays(weights, {**TREE, "step": jnp.asarray(8)})
    with pytest.raises(RunError, match="free some space"):
        run_directory.write_history(weights.parent / "history.csv", ("step", "loss", "validation"), HISTORY)
    monkeypatch.undo()
    assert is_what_was_saved(weights)
    assert [path.name for path in weights.parent.iterdir()] == ["weights.npz"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"run\.json|config\.toml: cannot be written"):
        run_directory.write_meta(tmp_path / "file" / "run", "", META)


def test_a_run_directory_tells_what_made_it(folder):
    meta = run_directory.read_meta(folder)
    assert meta["format"] == run_directory.FORMAT
    assert {"bowen", "jax", "numpy"} <= set(meta["versions"])
    assert {name: meta[name] for name in META} == META


def test_another_format_is_refused(folder):
    path = folder / "run.json"
    content = json.loads(path.read_text()) | {"format": 99, "versions": {"bowen": "9.1"}}
    path.write_text(json.dumps(content))
    with pytest.raises(
        RunError, match=rf"has format 99, written by bowen 9\.1; this version reads format {run_directory.FORMAT}"
    ):
        run_directory.read_meta(folder)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text[:-20], "is damaged"),
        (lambda text: text.replace("2.5", "2.6"), "its checksum differs"),
        (lambda text: "[]", "is damaged"),
        (lambda text: "", "is damaged"),
    ],
    ids=["cut", "digit", "list", "empty"],
)
def test_damaged_metadata_are_refused(folder, spoil, message):
    path = folder / "run.json"
    path.write_text(spoil(path.read_text()))
    with pytest.raises(RunError, match=rf"run\.json: .*{message}(.|\n)*restore it"):
        run_directory.read_meta(folder)


def test_what_is_no_run_directory_is_said_to_be_none(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    for other in (tmp_path / "empty", tmp_path / "nowhere", folder / "run.json"):
        with pytest.raises(RunError, match=r"is not a run directory(.|\n)*`bowen train`"):
            run_directory.read_meta(other)
    with pytest.raises(RunError, match=rf"is not a run directory(.|\n)*name one inside it: {folder}"):
        run_directory.read_meta(tmp_path)


def test_a_run_goes_on_only_with_its_configuration_and_record(folder):
    config = Config(data=DataConfig(met=Path("Met.nc")))
    check_same_run(folder, config, META)
    with pytest.raises(RunError, match=r"another configuration(.|\n)*another directory with --out"):
        check_same_run(folder, config.model_copy(update={"model": ModelConfig(hidden_size=8)}), META)
    with pytest.raises(RunError, match=r"a record that has changed since(.|\n)*bring back the record"):
        check_same_run(folder, config, {**META, "fingerprints": ["xyz"]})


def test_a_history_is_read_back(tmp_path):
    path = tmp_path / "history.csv"
    run_directory.write_history(path, ("step", "loss", "validation"), HISTORY)
    assert run_directory.read_history(path).to_numpy().tolist() == [list(row) for row in HISTORY]
    path.write_text("step,loss\n1,half\n")
    with pytest.raises(RunError, match=r"history\.csv: is damaged"):
        run_directory.read_history(path)
