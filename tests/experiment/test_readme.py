"""The example of the README runs as it stands, is short, and gives what the commands give."""

import ast
import re
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tests.data.files import SITE, fluxnet_table, write_csv

README = Path(__file__).resolve().parents[2] / "README.md"
CONFIG = """
[data]
met = "FLX_BE-Vie_2014.csv"
[model]
precision = "float64"
hidden_size = 32
dynamic = ["minimum_stomatal_resistance", "ground_albedo"]
static = ["root_zone_capacity"]
[training]
updates = 100
"""


def example() -> str:
    return re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[1]


def test_the_example_is_short_and_imports_bowen_and_jax_alone():
    tree = ast.parse(example())
    imported = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert sorted(imported) == ["bowen", "jax"] and not any(isinstance(n, ast.ImportFrom) for n in ast.walk(tree))
    assert len([line for line in example().splitlines() if line.strip()]) <= 15


@pytest.mark.slow
def test_the_example_gives_what_the_commands_give(bowen, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "FLX_BE-Vie_2014.csv", fluxnet_table(100))
    names: dict = {}
    with jax.numpy_dtype_promotion("standard"):  # optax counts in integers
        exec(compile(example(), "README.md", "exec"), names)
        Path("config.toml").write_text(CONFIG)
        bowen("train", "config.toml", "--out", "run")
    bowen("simulate", "run", "--out", "simulation.nc")
    bowen("evaluate", "run", "--out", "scores.csv")
    with xr.open_dataset("simulation.nc") as file:
        for theirs, ours in (("Qle", "latent_heat"), ("Qh", "sensible_heat")):
            np.testing.assert_allclose(file[theirs].values.ravel(), names["simulation"][ours], rtol=1e-6, atol=1e-6)
    scores, table = pd.read_csv("scores.csv"), names["bw"].score(names["simulation"], names["record"], names["split"])
    np.testing.assert_allclose(table["value"], scores["value"], rtol=1e-6, atol=1e-6)
    assert SITE
