"""The networks' own files drive training end to end, by the command a user types."""

import pandas as pd
import pytest

from tests.experiment.conftest import SETTINGS

pytestmark = pytest.mark.slow

RAW = ["fluxnet/FLX_BE-Vie_2014.csv.xz", "ameriflux_base/AMF_US-CRT_BASE_HH_3-5.csv.xz"]


@pytest.mark.parametrize("name", RAW)
def test_a_file_as_shipped_trains_a_hybrid(bowen, shared_data, tmp_path, name):
    text = SETTINGS.replace('"twin.nc"', f'"{shared_data / "raw" / name}"')
    text = text.replace("days = 2", "days = 20").replace("window_days = 4", "window_days = 20")
    (tmp_path / "raw.toml").write_text(text.replace("spin_up_years = 4", "spin_up_years = 1"))
    bowen("train", tmp_path / "raw.toml", "--out", tmp_path / "run")
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]
    audit = bowen("audit", tmp_path / "run").stdout
    assert "energy" in audit
