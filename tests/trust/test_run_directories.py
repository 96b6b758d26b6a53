"""A file of a run directory that is cut or changed is refused in a sentence, or gives what it gave before."""

import itertools
import json

import jax
import numpy as np
import pytest

from bowen.errors import BowenError
from bowen.experiments.run import load_run
from bowen.experiments.run_directory import (
    RunDirectory,
    named_leaves,
    read_arrays,
    read_history,
    relevant_settings,
)
from bowen.files import checksum

FILES = ("config.toml", "run.json", "weights.npz", "checkpoint.npz", "history.csv")
KINDS = ("cut", "byte", "digit", "zeros", "line", "doubled")
MUTATIONS = [(file, kind, seed) for seed, file, kind in itertools.product(range(18), FILES, KINDS)]
FAST = 30  # of them


def mutated(raw, kind, random):
    """Change bytes as failing disks, transfers and editors do."""
    at = int(random.integers(len(raw)))
    if kind == "cut":
        return raw[:at]
    if kind == "byte":
        return raw[:at] + bytes([raw[at] ^ int(random.integers(1, 256))]) + raw[at + 1 :]
    if kind == "digit":
        places = [k for k, letter in enumerate(raw) if 48 <= letter <= 57]
        at = places[int(random.integers(len(places)))]
        return raw[:at] + bytes([48 + (raw[at] - 48 + int(random.integers(1, 10))) % 10]) + raw[at + 1 :]
    if kind == "zeros":
        return raw[:at] + bytes(min(64, len(raw) - at)) + raw[at + 64 :]
    lines = raw.split(b"\n")
    at = int(random.integers(len(lines)))
    return b"\n".join(lines[:at] + lines[at : at + 1] * (2 if kind == "doubled" else 0) + lines[at + 1 :])


def content_of(folder):
    """All that a run directory gives: settings behind the weights, manifest, weights, checkpoint, history."""
    run = load_run(folder)
    settings = {str(place): str(value) for place, value in relevant_settings(run.config, run.manifest).items()}
    weights = {name: np.asarray(leaf) for name, leaf in named_leaves(run.model).items()}
    checkpoint = read_arrays(folder / "checkpoint.npz")
    history = read_history(folder / "history.csv")
    return settings, str(run.manifest), str(run.scaler), weights, checkpoint, history


@pytest.fixture(scope="module")
def whole(trained):
    jax.config.update("jax_enable_x64", False)
    return content_of(trained)


def same(found, whole):
    assert found[:3] == whole[:3]
    for arrays, others in zip(found[3:5], whole[3:5], strict=True):
        assert set(arrays) == set(others)
        for name, values in arrays.items():
            np.testing.assert_array_equal(values, others[name], err_msg=name, strict=True)
    rows = len(found[5])  # the last may be missing, as after a stop
    assert rows >= len(whole[5]) - 1
    np.testing.assert_allclose(found[5], whole[5][:rows], 1e-9)


@pytest.mark.parametrize(
    ("file", "kind", "seed"),
    [pytest.param(*m, marks=() if k < FAST else pytest.mark.slow) for k, m in enumerate(MUTATIONS)],
)
def test_a_mutation_is_refused_or_harmless(run, whole, file, kind, seed):
    raw = (run / file).read_bytes()
    random = np.random.default_rng([seed, FILES.index(file), KINDS.index(kind)])
    (run / file).write_bytes(mutated(raw, kind, random))
    try:
        found = content_of(run)
    except BowenError as problem:
        assert "\n  fix: " in str(problem) or file == "config.toml", problem
        assert file in str(problem) or "run.json" in str(problem), problem
        return
    same(found, whole)


@pytest.mark.parametrize("file", FILES[:3])
def test_a_file_that_is_gone_is_missed(run, file):
    (run / file).unlink()
    with pytest.raises(BowenError):
        load_run(run)


def test_a_setting_that_the_weights_depend_on_may_not_change(run):
    text = (run / "config.toml").read_text()
    (run / "config.toml").write_text(text.replace("substeps = 1", "substeps = 2"))
    with pytest.raises(BowenError, match=r"`substeps` in \[model\] is 2, and was 1 in the training"):
        load_run(run)


def test_a_path_may_change(run):
    text = (run / "config.toml").read_text()
    (run / "config.toml").write_text(text.replace("twin.nc", "moved.nc"))
    assert load_run(run).config.data.met.name == "moved.nc"


def test_an_older_manifest_knows_no_settings(run, whole):
    content = json.loads((run / "run.json").read_text())
    del content["settings"], content["checksum"]
    (run / "run.json").write_text(json.dumps({**content, "checksum": checksum(content)}))
    assert RunDirectory(run).read_config() == load_run(run).config


def test_there_are_enough():
    assert len(MUTATIONS) >= 500
