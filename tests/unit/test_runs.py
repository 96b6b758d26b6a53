"""A run directory is whole, or says what is wrong with it; nothing in it is ever executed."""

import contextlib
import dataclasses
import errno
import json
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from bowen.config.schema import (
    BenchmarkConfig,
    BlockSplit,
    ComparisonConfig,
    Config,
    DataConfig,
    PeriodSplit,
    dumps,
)
from bowen.errors import RunError
from bowen.experiments import format_migration, run_directory
from bowen.experiments.run_directory import Manifest, RunDirectory, load_arrays, save_arrays
from bowen.experiments.trained_record import TrainedRecord
from bowen.files import checksum

TREE = {"cell": {"weight": jnp.arange(12.0).reshape(3, 4)}, "step": jnp.asarray(7), "still": "not an array"}
HISTORY = ((0, 0.5, 0.1), (10, 0.25, 0.3))
COLUMNS = ("step", "loss", "validation")
CONFIG = Config(data=DataConfig(met=Path("Met.nc")))
RECORD = TrainedRecord("abc", "BE-Vie", 50.3, 6.0, "2010-01-01T00:00:00", "2012-12-31T23:30:00")
SCALER = {"mean": {"wind_speed": 2.5}, "spread": {"wind_speed": 1.0}, "optional": [], "closures": [None]}
FIRST, SECOND = ("2001-01-01", "2001-12-31"), ("2002-01-01", "2002-12-31")
YEARS = PeriodSplit.model_validate({"train": FIRST, "validation": SECOND})
MANIFEST = Manifest((RECORD,), SCALER, {"site": "BE-Vie", "igbp": "MF", "canopy_height": 30.0})


def with_changes(config=CONFIG, **tables):
    """A configuration with other settings, by table."""
    return config.model_copy(
        update={name: getattr(config, name).model_copy(update=changes) for name, changes in tables.items()}
    )


@pytest.fixture
def weights(tmp_path):
    save_arrays(tmp_path / "weights.npz", TREE, HISTORY)
    return tmp_path / "weights.npz"


@pytest.fixture
def folder(tmp_path):
    RunDirectory(tmp_path / "run").claim(CONFIG, MANIFEST)
    return tmp_path / "run"


def is_what_was_saved(path):
    tree, history = load_arrays(path, TREE)
    np.testing.assert_array_equal(tree["cell"]["weight"], TREE["cell"]["weight"], strict=True)
    assert tree["step"] == 7 and tree["step"].dtype == TREE["step"].dtype
    assert tree["still"] == "not an array"
    return np.array_equal(history, HISTORY)


def test_what_is_saved_is_loaded(weights):
    assert is_what_was_saved(weights)


def test_arrays_come_in_the_precision_that_is_asked_for(weights):
    like = {**TREE, "cell": {"weight": TREE["cell"]["weight"].astype(jnp.float32)}}
    assert load_arrays(weights, like)[0]["cell"]["weight"].dtype == jnp.float32


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
            load_arrays(weights, TREE)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_file_that_was_cut_is_noticed(weights, share):
    sound = weights.read_bytes()
    weights.write_bytes(sound[: int(share * len(sound))])
    with pytest.raises(RunError, match=r"weights.npz: is damaged(.|\n)*restore it from a copy"):
        load_arrays(weights, TREE)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


@pytest.mark.parametrize("save", [np.savez, np.save], ids=["archive", "array"])
def test_nothing_is_unpickled(tmp_path, monkeypatch, save):
    monkeypatch.chdir(tmp_path)
    with (tmp_path / "weights.npz").open("wb") as file:
        save(file, np.asarray([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(RunError, match="is damaged"):
        load_arrays(tmp_path / "weights.npz", TREE)
    assert not (tmp_path / "exploded").exists()


def test_an_object_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle=False"):
        save_arrays(tmp_path / "weights.npz", {"a": np.asarray([Bomb()], dtype=object)})


def test_a_parameter_declared_since_is_as_it_comes(weights):
    newer = {**TREE, "land": {"max_drainage": jnp.asarray(3.0)}}
    assert load_arrays(weights, newer)[0]["land"]["max_drainage"] == 3.0


def test_weights_of_another_model_are_refused(weights):
    with pytest.raises(RunError, match=r"does not fit the configuration .* such as cell/bias"):
        load_arrays(weights, {**TREE, "cell": {**TREE["cell"], "bias": jnp.zeros(3)}})
    with pytest.raises(RunError, match=r"1 arrays differ, such as cell/weight"):
        load_arrays(weights, {**TREE, "cell": {"weight": jnp.zeros((4, 4))}})


def test_weights_that_are_not_there(tmp_path):
    with pytest.raises(RunError, match=r"is not there(.|\n)*bowen train"):
        load_arrays(tmp_path / "weights.npz", TREE)


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
        save_arrays(weights, larger)
    assert is_what_was_saved(weights)
    assert [path.name for path in weights.parent.iterdir()] == ["weights.npz"]


def test_when_the_disk_is_full_at_the_very_end_what_was_saved_stays(weights, monkeypatch):
    def no_space(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(RunError, match="No space left on device"):
        save_arrays(weights, {**TREE, "step": jnp.asarray(8)})
    with pytest.raises(RunError, match="free some space"):
        run_directory.write_history(weights.parent / "history.csv", ("step", "loss", "validation"), HISTORY)
    monkeypatch.undo()
    assert is_what_was_saved(weights)
    assert [path.name for path in weights.parent.iterdir()] == ["weights.npz"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"run\.json|config\.toml: cannot be written"):
        RunDirectory(tmp_path / "file" / "run").claim(CONFIG, MANIFEST)
    with pytest.raises(RunError, match=r"run: cannot be written(.|\n)*another directory with --out"):
        with RunDirectory(tmp_path / "file" / "run").lock():
            pass


def test_a_run_directory_keeps_what_made_it(folder):
    content = json.loads((folder / "run.json").read_text())
    assert content["format"] == run_directory.FORMAT
    assert {"bowen", "jax", "numpy"} <= set(content["versions"])
    assert RunDirectory(folder).read_manifest() == MANIFEST
    assert RunDirectory(folder).read_config().data.met == folder / "Met.nc"


def test_an_unknown_format_is_refused(folder):
    path = folder / "run.json"
    for number in (99, 3, None, "5"):
        content = json.loads(path.read_text()) | {"format": number, "versions": {"bowen": "9.1"}}
        path.write_text(json.dumps(content))
        with pytest.raises(
            RunError, match=rf"has format {number}, written by bowen 9\.1; this version reads formats 4 to 5\."
        ):
            RunDirectory(folder).read_manifest()


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
        RunDirectory(folder).read_manifest()


def test_what_is_no_run_directory_is_said_to_be_none(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    for other in (tmp_path / "empty", tmp_path / "nowhere", folder / "run.json"):
        with pytest.raises(RunError, match=r"is not a run directory(.|\n)*`bowen train`"):
            RunDirectory(other).read_manifest()
    save_arrays(folder / "weights.npz", TREE)
    with pytest.raises(RunError, match=rf"is not a run directory(.|\n)*name one inside it: {folder}"):
        RunDirectory(tmp_path).read_manifest()
    RunDirectory(tmp_path).claim(CONFIG, Manifest(purpose="benchmark"))
    with pytest.raises(RunError, match=rf"holds a benchmark, not a training(.|\n)*name one inside it: {folder}"):
        RunDirectory(tmp_path).read_manifest()


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        with_changes(data={"met": Path("moved") / "Met.nc", "flux": Path("Flux.nc"), "format": "csv"}),
        with_changes(training={"updates": 400, "patience": 3}),
        CONFIG.model_copy(update={"comparison": ComparisonConfig(calibrated=())}),
        CONFIG.model_copy(update={"benchmark": BenchmarkConfig(split="time", seeds=(1, 2))}),
    ],
    ids=["same", "paths", "updates", "comparison", "benchmark"],
)
def test_a_run_goes_on_where_nothing_differs_that_its_weights_depend_on(folder, tmp_path, config):
    moved = folder.rename(tmp_path / "elsewhere")
    RunDirectory(moved).claim(config, MANIFEST)
    assert dumps(config) == (moved / "config.toml").read_text()
    assert RunDirectory(moved).read_manifest() == MANIFEST


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (with_changes(training={"seed": 1}), r"`seed` in \[training\] is 0 there and 1 here"),
        (with_changes(training={"window_days": 30}), r"`window_days` in \[training\] is 20 there and 30 here"),
        (with_changes(model={"hidden_size": 8}), r"`hidden_size` in \[model\] is 64 there and 8 here"),
        (with_changes(model={"kind": "network"}), r'`kind` in \[model\] is "hybrid" there and "network" here'),
        (with_changes(data={"soil": "F"}), r'`soil` in \[data\] is "CM" there and "F" here'),
        (CONFIG.model_copy(update={"split": BlockSplit(days=7)}), r"`days` in \[split\] is 20 there and 7 here"),
        (
            CONFIG.model_copy(update={"split": YEARS}),
            r"`days` .* 20 there and not set here; .*`train` .* is not set there",
        ),
        (with_changes(training={"seed": 1}, model={"hidden_size": 8}), r"64 there and 8 here; `seed` .* 1 here"),
    ],
)
def test_another_configuration_is_refused_with_the_setting_and_both_values(folder, config, message):
    before = (folder / "config.toml").read_text()
    with pytest.raises(
        RunError, match=rf"was made with other settings: .*{message}(.|\n)*another directory with --out"
    ):
        RunDirectory(folder).claim(config, MANIFEST)
    assert (folder / "config.toml").read_text() == before


OTHER = dataclasses.replace(RECORD, fingerprint="xyz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"records": (OTHER,)}, r"record of BE-Vie that has changed since(.|\n)*bring back the record"),
        ({"records": (RECORD, OTHER)}, "was trained on 1 records, and there are 2 now"),
        ({"records": (dataclasses.replace(OTHER, site="DK-Sor"),)}, "a record of BE-Vie where there is one of DK-Sor"),
        (
            {"records": (dataclasses.replace(OTHER, last="2013-12-31T23:30:00"),)},
            "on BE-Vie from 2010-01-01 to 2012-12-31, and the record is from 2010-01-01 to 2013-12-31 now",
        ),
        (
            {"records": (OTHER,), "site": MANIFEST.site | {"canopy_height": 25.0}},
            "`canopy_height` = 30.0, and the record has 25.0 now",
        ),
        ({"labeling": "validation_blocks"}, "has steps labeled by split, and by validation_blocks here"),
        ({"purpose": "benchmark", "records": ()}, "holds a training, not a benchmark"),
    ],
)
def test_other_records_are_refused_in_a_sentence_that_names_them(folder, changes, message):
    with pytest.raises(RunError, match=message):
        RunDirectory(folder).claim(CONFIG, dataclasses.replace(MANIFEST, **changes))


def test_only_the_writer_writes(folder, tmp_path):
    other = with_changes(training={"updates": 400})
    RunDirectory(folder).claim(other, MANIFEST, is_writer=False)
    assert dumps(other) != (folder / "config.toml").read_text()
    RunDirectory(tmp_path / "new").claim(other, MANIFEST, is_writer=False)
    assert not (tmp_path / "new").exists()


def test_a_split_that_was_not_used_may_change(tmp_path):
    blocks = dataclasses.replace(MANIFEST, labeling="validation_blocks")
    RunDirectory(tmp_path).claim(CONFIG, blocks)
    RunDirectory(tmp_path).claim(CONFIG.model_copy(update={"split": BlockSplit(days=7)}), blocks)


def test_a_benchmark_goes_on_with_other_models_and_not_with_other_settings(tmp_path):
    manifest = Manifest(purpose="benchmark")
    RunDirectory(tmp_path).claim(CONFIG, manifest)
    RunDirectory(tmp_path).claim(with_changes(benchmark={"models": ("LSTM",), "seeds": (3,)}), manifest)
    for config, message in (
        (with_changes(training={"updates": 400}), r"`updates` in \[training\] is 200 there and 400 here"),
        (with_changes(benchmark={"split": "time"}), r'`split` in \[benchmark\] is "site" there and "time" here'),
    ):
        with pytest.raises(RunError, match=message):
            RunDirectory(tmp_path).claim(config, manifest)
    (tmp_path / "run.json").unlink()  # as before format 5
    with pytest.raises(RunError, match=r"`updates` in \[training\] is 200 there and 400 here"):
        RunDirectory(tmp_path).claim(with_changes(training={"updates": 400}), manifest)
    RunDirectory(tmp_path).claim(CONFIG, manifest)


def test_simulations_are_of_one_model(tmp_path):
    manifest = Manifest(purpose="simulations", weights="abc")
    RunDirectory(tmp_path).claim(CONFIG, manifest)
    RunDirectory(tmp_path).claim(with_changes(training={"seed": 3}), manifest)  # the weights tell
    for changes, message in (
        ({"weights": "xyz"}, "holds the days of another model"),
        ({"as_unseen": True}, "does not hold days simulated with all sites as unseen ones"),
    ):
        with pytest.raises(RunError, match=message):
            RunDirectory(tmp_path).claim(CONFIG, dataclasses.replace(manifest, **changes))


HOLD = """
import sys
from pathlib import Path
from bowen.experiments.run_directory import RunDirectory
with RunDirectory(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_writer_is_refused_and_a_dead_one_is_not(tmp_path):
    folder = tmp_path / "run"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdin=-1, stdout=-1, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        told = rf"process {holder.pid} on {socket.gethostname()} trains here since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d"
        with pytest.raises(RunError, match=rf"{told}(.|\n)*wait until it has ended, or .*--out"):
            with RunDirectory(folder).lock():
                pass
    finally:
        holder.kill()
        holder.communicate()
    assert (folder / "lock").exists()
    with RunDirectory(folder).lock(), pytest.raises(RunError, match=f"process {os.getpid()} on"):
        with RunDirectory(folder).lock():
            pass
    assert not (folder / "lock").exists() and folder.exists()


def test_a_lock_under_which_nothing_was_written_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), RunDirectory(tmp_path / "run").lock():
        raise ZeroDivisionError
    assert not (tmp_path / "run").exists()


OLD_CONFIG = """
[tower]
met = "Met.nc"
leave_out = []
radiation = "balance"
[model]
hidden = 8
dynamic = ["surface_resistance"]
static = ["root_capacity"]
states = "stopped"
[training]
steps = 7
[contest]
calibrated = ["surface_resistance"]
[benchmark]
contestants = ["LSTM"]
"""
OLD_PLACES = (
    "model/cell/weight", "best/base/surface_resistance", "model/base/least_wind", "model/offsets/root_capacity",
    "optimizer/1/0/mu/offsets/root_capacity", "average/regional/slopes", "carry/1/soil_warmth", "carry/root_water",
    "base/closure_skew", "cell/bias", "carry/0/1", "carry/1", "tally", "waited", "step",
)  # fmt: skip
NEW_PLACES = (
    "model/network/weight", "best/land/minimum_stomatal_resistance", "model/land/gustiness",
    "model/offsets/root_zone_capacity", "optimizer/1/0/mu/offsets/root_zone_capacity",
    "average/regionalization/slopes", "carry/1/soil_temperature_excess", "carry/root_zone_water",
    "tower/closure_partitioning", "network/bias", "carry/0/cell", "carry/cell",
    "validation_sums", "validations_without_gain", "step",
)  # fmt: skip


@pytest.fixture
def old(tmp_path):
    """A run directory as format 4 has it."""
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "config.toml").write_text(OLD_CONFIG)
    content = {
        "format": 4, "versions": {"bowen": "0.1.0"}, "fingerprints": ["abc"], "scaler": SCALER, "water": {},
        "site": dict(MANIFEST.site),
    }  # fmt: skip
    content["checksum"] = checksum(content)
    (folder / "run.json").write_text(json.dumps(content))
    arrays = {place: np.full(2, number) for number, place in enumerate(OLD_PLACES)}
    np.savez(folder / "checkpoint.npz", **arrays, history=np.asarray(HISTORY))
    np.savez(folder / "weights.npz", **{"base/surface_resistance": np.ones(2)}, history=np.zeros(0))
    return folder


def test_format_4_is_read_and_left_as_it_is(old):
    files = {path: path.read_bytes() for path in old.iterdir()}
    directory = RunDirectory(old)
    manifest = directory.read_manifest()
    assert manifest.fingerprints == ["abc"] and manifest.labeling == "split" and manifest.site == MANIFEST.site
    config = directory.read_config()
    assert config.model.static == ("root_zone_capacity",) and config.training.updates == 7
    assert config.model.state_feedback == "stop_gradient" and config.comparison.calibrated == config.model.dynamic
    like = {"land": {"minimum_stomatal_resistance": jnp.zeros(2), "max_drainage": jnp.asarray(3.0)}}
    found = directory.read_weights(like)["land"]
    assert found["max_drainage"] == 3.0 and (found["minimum_stomatal_resistance"] == 1.0).all()
    assert {path: path.read_bytes() for path in old.iterdir()} == files


def test_format_4_is_rewritten_when_its_training_goes_on(old):
    directory = RunDirectory(old)
    config = with_changes(directory.read_config(), training={"updates": 9})
    directory.claim(config, MANIFEST)
    assert directory.read_manifest() == MANIFEST and json.loads((old / "run.json").read_text())["format"] == 5
    with np.load(old / "checkpoint.npz") as file:
        assert {*file.files} == {*NEW_PLACES, "history", "updates"} and file["updates"] == 7
        assert [int(file[place][0]) for place in NEW_PLACES] == list(range(len(NEW_PLACES)))
    with np.load(old / "weights.npz") as file:
        assert {*file.files} == {"land/minimum_stomatal_resistance", "history"}


def test_format_4_with_another_setting_or_record_is_refused(old):
    config = RunDirectory(old).read_config()
    with pytest.raises(RunError, match=r"`hidden_size` in \[model\] is 8 there and 16 here"):
        RunDirectory(old).claim(with_changes(config, model={"hidden_size": 16}), MANIFEST)
    with pytest.raises(RunError, match="record of BE-Vie that has changed since"):
        RunDirectory(old).claim(config, dataclasses.replace(MANIFEST, records=(OTHER,)))


def test_format_4_that_is_damaged_is_said_to_be(old):
    path = old / "run.json"
    path.write_text(path.read_text().replace("2.5", "2.6"))
    with pytest.raises(RunError, match=r"run\.json: is damaged \(its checksum differs\)"):
        RunDirectory(old).read_manifest()


def test_old_places_have_new_ones_and_new_ones_stay():
    arrays = {place: np.zeros(0) for place in OLD_PLACES}
    migrated = format_migration.migrate_arrays(arrays, 4)
    assert tuple(migrated) == NEW_PLACES
    assert tuple(format_migration.migrate_arrays(migrated, 4)) == NEW_PLACES
    assert tuple(format_migration.migrate_arrays(arrays, 5)) == OLD_PLACES


def test_rows_of_the_table_of_places_apply_in_order_and_to_whole_parts(monkeypatch):
    monkeypatch.setitem(format_migration.ARRAY_NAMES, 4, (("cell", "lstm"), ("lstm/weight", "net/w"), ("gone", None)))
    places = ("model/cell/weight", "cellar/weight", "base/gone", "base/gone_by")
    found = format_migration.migrate_arrays({place: np.zeros(0) for place in places}, 4)
    assert tuple(found) == ("model/net/w", "cellar/weight", "base/gone_by")


def test_a_checkpoint_is_read_back_with_what_was_asked_for(folder):
    directory = RunDirectory(folder)
    assert directory.read_checkpoint(TREE, TREE) is None
    directory.save(TREE, TREE["cell"], COLUMNS, HISTORY, 200)
    tree, history, updates = directory.read_checkpoint(TREE, TREE)
    assert tree["step"] == 7 and np.array_equal(history, HISTORY) and updates == 200
    assert run_directory.read_history(directory.history).shape == (2, 3)
    assert (directory.read_weights(TREE["cell"])["weight"] == TREE["cell"]["weight"]).all()


def test_a_checkpoint_lacks_a_parameter_that_was_declared_since(folder):
    directory = RunDirectory(folder)
    directory.save({"model": TREE, "best": TREE}, TREE, COLUMNS, HISTORY, 200)
    newer = {**TREE, "land": {"max_drainage": jnp.asarray(3.0)}}
    tree, _, _ = directory.read_checkpoint({"model": newer, "best": newer}, newer)
    assert tree["model"]["land"]["max_drainage"] == tree["best"]["land"]["max_drainage"] == 3.0


def test_a_history_is_read_back(tmp_path):
    path = tmp_path / "history.csv"
    run_directory.write_history(path, ("step", "loss", "validation"), HISTORY)
    assert run_directory.read_history(path).to_numpy().tolist() == [list(row) for row in HISTORY]
    path.write_text("step,loss\n1,half\n")
    with pytest.raises(RunError, match=r"history\.csv: is damaged"):
        run_directory.read_history(path)
