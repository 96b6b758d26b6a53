"""Judging what a model was never shown: by hand-made days whose scores are known."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bowen.errors import DataError
from bowen.evaluation.unseen_variables import UNSEEN_COLUMNS, evaluate_unseen_variables, find_melt_out, route_runoff

TIME = pd.date_range("1999-09-01", "2002-08-31")
WAVE = np.sin(np.arange(len(TIME)) / 9.0)


def days(**variables):
    values = {name: ("time", np.broadcast_to(value, TIME.shape).astype(float)) for name, value in variables.items()}
    return xr.Dataset(values, {"time": TIME}, {"site": "XX-Bas", "latitude": 45.0})


def numbers(simulation, observed, variable, **period):
    table = evaluate_unseen_variables(simulation, observed, model="some model", **period)
    assert tuple(table.columns) == UNSEEN_COLUMNS and set(table["model"]) == {"some model"}
    return table[table["variable"] == variable].set_index("metric")


def winter(melted_after, largest=100.0):
    """Snow that grows from December on and is gone so many days after the first of September, each year."""
    day = np.array([(stamp - pd.Timestamp(stamp.year - (stamp.month < 9), 9, 1)).days for stamp in TIME])
    return np.where((day >= 90) & (day < melted_after), largest * (day - 89) / (melted_after - 90), 0.0)


def test_runoff_that_was_trained_on_is_told():
    flow = days(runoff=2e-5 * (1.5 + WAVE), precipitation=1e-4, latent_heat=50.0 + WAVE)
    seen = flow.assign_attrs(water_trained="1985-01-01 to 1994-12-31")
    notes = evaluate_unseen_variables(seen, flow, model="some model").groupby("variable")["note"].unique()
    assert notes["runoff"].tolist() == ["trained on runoff or snow of this site, 1985-01-01 to 1994-12-31"]
    assert notes["latent_heat"].tolist() == [""]
    assert numbers(flow.assign_attrs(water_trained=""), flow, "runoff")["note"].eq("").all()


def test_runoff_by_its_scores():
    flow = 2e-5 * (1.5 + WAVE)
    found = numbers(days(runoff=1.2 * flow, precipitation=1e-4), days(runoff=flow), "runoff")["value"]
    assert found["bias_percent"] == pytest.approx(20.0) and found["sd_ratio"] == pytest.approx(1.2)
    assert found["kge"] == pytest.approx(1.0 - np.hypot(0.2, 0.2))
    assert found["runoff_ratio_error"] == pytest.approx(0.2 * flow.mean() / 1e-4)
    logarithms = np.log(flow + 0.01 * flow.mean())
    error = np.log(1.2 * flow + 0.01 * flow.mean()) - logarithms
    assert found["log_nse"] == pytest.approx(1.0 - (error**2).mean() / logarithms.var())


def test_only_days_with_both_within_the_period_count():
    flow = 2e-5 * (1.5 + WAVE)
    observed = days(runoff=np.where(np.arange(len(TIME)) % 2, flow, np.nan))
    simulation = days(runoff=flow, precipitation=1e-4).isel(time=slice(100, None))
    found = numbers(simulation, observed, "runoff", first="2000", last="2000-03")
    assert (found["n"] == 45).all() and found["value"]["nse"] == pytest.approx(1.0)
    with pytest.raises(DataError, match=r"XX-Bas: nothing was observed on the days .* from 2010 to None"):
        evaluate_unseen_variables(simulation, observed, model="m", first="2010")


def test_a_quick_way_loses_no_water_and_needs_no_more_than_its_share():
    drainage = np.where(np.arange(len(TIME)) == 200, 3e-4, 0.0)
    simulation = days(drainage=drainage, runoff=1e-6, precipitation=1e-4)
    flow = route_runoff(simulation, fraction=0.4, days=2.0) - 0.6e-6
    first = 0.4 * 2.0 * drainage.mean() * (1.0 - np.exp(-0.5))
    assert flow[0] == pytest.approx(first), "it begins with the water that the mean drainage keeps in it"
    assert flow.sum() == pytest.approx(0.4 * (drainage.sum() + 2.0 * drainage.mean()))
    assert flow[202] / flow[201] == pytest.approx(np.exp(-0.5))
    observed = days(runoff=2e-5 * (1.5 + WAVE))
    note = numbers(simulation, observed, "runoff_routed")["note"]
    assert note.str.contains("not fitted to any streamflow").all()
    quick = simulation.assign(surface_runoff=simulation.drainage)
    assert "value" in numbers(quick, observed, "runoff") and numbers(quick, observed, "runoff_routed").empty


def test_snow_that_melts_later():
    simulation, observed = days(snow_water=winter(220)), days(snow_water=winter(210, 80.0))
    observed["snow_water"].attrs["product"] = "Daymet"
    found = numbers(simulation, observed, "snow_water")
    assert found["value"]["melt_out_days"] == found["value"]["melt_out_days_off"] == 10.0
    assert found["value"]["peak_ratio"] == pytest.approx(1.25)
    assert found["n"]["melt_out_days"] == 3 and (found["note"] == "model product: Daymet").all()


def test_winters_with_little_snow_or_days_that_lack_do_not_count():
    observed = days(snow_water=winter(210))
    observed["snow_water"][:40] = np.nan
    found = numbers(days(snow_water=winter(200)), observed, "snow_water")
    assert found["n"]["melt_out_days"] == 2 and found["value"]["melt_out_days"] == -10.0
    found = numbers(days(snow_water=winter(200, 15.0)), observed, "snow_water")
    assert found["n"]["melt_out_days"] == 0 and np.isnan(found["value"]["melt_out_days"])


def test_melt_out_is_when_a_tenth_is_left():
    assert find_melt_out(pd.Series([0.0, 50.0, 100.0, 60.0, 9.0, 0.0])) == 4.0
    assert find_melt_out(pd.Series([0.0, 50.0, 100.0, 60.0])) == 4.0, "it never is"


def test_fluxes_are_judged_as_the_tower_would_measure_them():
    heat = 80.0 + 40.0 * WAVE
    simulation = days(latent_heat=heat, latent_heat_observed=0.8 * heat)
    found = numbers(simulation, days(latent_heat=0.8 * heat, sensible_heat=heat), "latent_heat")["value"]
    assert found["nse"] == pytest.approx(1.0)


def test_what_a_model_lacks_is_not_judged():
    table = evaluate_unseen_variables(
        days(latent_heat=WAVE), days(runoff=1e-5 * (2.0 + WAVE), latent_heat=WAVE), model="LSTM"
    )
    assert set(table["variable"]) == {"latent_heat"}


def soil(simulated, **attributes):
    layers = np.stack([simulated, simulated + 1.0], axis=-1)
    simulation = days(root_zone_water=100.0 + 50.0 * WAVE).assign(soil_temperature=(("time", "layer"), layers))
    observed = days(soil_temperature=280.0 + WAVE)
    observed["soil_temperature"].attrs |= attributes
    return numbers(simulation.assign_coords(layer_depth=("layer", [0.0, 0.2])), observed, "soil_temperature")


def test_soil_temperature_is_taken_between_layers():
    assert soil(280.0 + WAVE)["value"]["bias"] == pytest.approx(0.25), "5 cm, a quarter of the way down"
    found = soil(280.0 + WAVE, depth=0.1)
    assert found["value"]["bias"] == pytest.approx(0.5) and (found["depth"] == 0.1).all()
    assert (found["note"] == "").all() and soil(280.0 + WAVE)["note"].str.startswith("depth assumed").all()


def test_of_soil_moisture_only_the_ups_and_downs_count():
    season = np.cos(2.0 * np.pi * np.arange(len(TIME)) / 365.0)
    quick = np.sin(np.arange(len(TIME)))
    simulation = days(root_zone_water=100.0 + 40.0 * season + 5.0 * quick)
    found = numbers(simulation, days(soil_moisture=np.exp(season + quick / 8.0)), "soil_moisture")["value"]
    assert list(found.index) == ["correlation", "rank_correlation", "anomaly_correlation"]
    assert found["rank_correlation"] == pytest.approx(1.0) and 0.8 < found["correlation"] < 0.99
    opposed = numbers(simulation, days(soil_moisture=season - quick), "soil_moisture")["value"]
    assert opposed["anomaly_correlation"] < -0.95 and opposed["correlation"] > 0.5


def test_fluxes_are_not_judged_where_the_model_was_trained():
    observed = days(latent_heat=80.0 + WAVE, ground_heat=WAVE)
    table = evaluate_unseen_variables(observed.assign_attrs(trained_here=1), observed, model="m")
    assert set(table["variable"]) == {"ground_heat"}
