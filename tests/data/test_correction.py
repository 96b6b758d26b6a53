import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bowen.data import close_energy_balance
from bowen.data.forcing.bowen_ratio_correction import compute_closure_factor
from bowen.data.schema import QC
from bowen.errors import DataError

DAYS = 60


def record(factor=0.8, days=DAYS, start="2012-03-01", **changes):
    """Fluxes that are `factor` of the available energy, at a Bowen ratio of one half."""
    time = np.datetime64(start, "ns") + np.arange(days * 48) * np.timedelta64(1800, "s")
    hour = np.arange(days * 48) % 48 / 2.0
    available = 400.0 * np.maximum(np.sin((hour - 6.0) * np.pi / 12.0), 0.0) - 30.0
    variables = {
        "net_radiation": 1.1 * available,
        "ground_heat": 0.1 * available,
        "latent_heat": factor * available * 2.0 / 3.0,
        "sensible_heat": factor * available / 3.0,
    }
    variables |= changes
    flags = {f"{name}_qc": np.zeros(days * 48, np.int8) for name in variables}
    data = {name: ("time", np.asarray(values, float)) for name, values in variables.items()}
    return xr.Dataset(data | {name: ("time", values) for name, values in flags.items()}, {"time": time})


def test_the_balance_closes_at_the_measured_bowen_ratio():
    before = record()
    after = close_energy_balance(before)
    turbulent = after.latent_heat + after.sensible_heat
    np.testing.assert_allclose(turbulent, before.net_radiation - before.ground_heat, rtol=1e-12)
    np.testing.assert_allclose(after.latent_heat / after.sensible_heat, 2.0, rtol=1e-12)
    xr.testing.assert_identical(after.latent_heat_raw.rename("latent_heat"), before.latent_heat)
    assert "(median 1.25)" in after.attrs["assumptions"] and "minus ground heat" in after.attrs["assumptions"]
    assert "latent_heat_raw" not in before


def test_the_factor_follows_the_days_around():
    day = np.arange(DAYS * 48) // 48
    share = np.where(day < 30, 0.8, 0.5)
    factor, _ = compute_closure_factor(record(share))
    np.testing.assert_allclose(factor[: 14 * 48], 1.25)
    np.testing.assert_allclose(factor[46 * 48 :], 2.0)
    assert 1.25 <= factor[30 * 48] <= 2.0


def test_only_noon_and_night_without_outliers_count():
    dataset = record()
    hour = np.arange(DAYS * 48) % 48 / 2.0
    dataset.latent_heat[(hour > 15.0) & (hour < 21.0)] = 7.0  # heat is being stored
    dataset.latent_heat[24] = 1e-9  # a ratio far from the rest
    factor, _ = compute_closure_factor(dataset)
    np.testing.assert_allclose(factor, 1.25)


def test_filled_fluxes_do_not_count():
    dataset = record()
    dataset.latent_heat[: 30 * 48] *= 3.0
    dataset.latent_heat_qc[: 30 * 48] = QC.FILLED_POOR
    dataset.ground_heat_qc[40 * 48 :] = QC.FILLED_MEDIUM
    factor, _ = compute_closure_factor(dataset)
    np.testing.assert_allclose(factor[20 * 48 : 54 * 48], 1.25)
    assert np.isnan(factor[: 10 * 48]).all()
    corrected = close_energy_balance(dataset)
    assert (corrected.latent_heat_qc.values[: 10 * 48] == QC.MISSING).all()


def test_the_years_before_and_after_help_out():
    dataset = record(days=800)
    dataset.net_radiation[365 * 48 : 430 * 48] = np.nan
    factor, _ = compute_closure_factor(dataset)
    np.testing.assert_allclose(factor[400 * 48], 1.25)


def test_what_the_network_corrected_is_taken():
    whole = record(1.0)
    dataset = record(latent_heat_corrected=whole.latent_heat * 1.1, sensible_heat_corrected=whole.sensible_heat * 1.1)
    after = close_energy_balance(dataset)
    np.testing.assert_array_equal(after.latent_heat, dataset.latent_heat_corrected)
    assert "as corrected by the source" in after.attrs["assumptions"]
    dataset["sensible_heat_corrected"][:] = np.nan  # of no use
    np.testing.assert_allclose(close_energy_balance(dataset).latent_heat, whole.latent_heat, rtol=1e-12)


def test_without_radiation_there_is_no_correction():
    with pytest.raises(DataError, match=r'no net_radiation, .*\n.*closure = "raw" or "learned_fraction"'):
        close_energy_balance(record().drop_vars("net_radiation"))
    with pytest.raises(DataError, match="never measured together"):
        close_energy_balance(record(net_radiation=np.full(DAYS * 48, np.nan)))


def test_without_ground_heat_net_radiation_is_met():
    factor, against = compute_closure_factor(record().drop_vars(["ground_heat", "ground_heat_qc"]))
    assert against == "net radiation"
    np.testing.assert_allclose(factor, 1.1 / 0.8)


def test_our_factor_agrees_with_the_networks_own(shared_data):
    """BE-Vie comes with the correction that ONEFlux made; ours, from half-hours alone, is close to it."""
    from bowen.data import read

    dataset = read(shared_data / "raw" / "fluxnet" / "FLX_BE-Vie_2014.csv.xz")
    theirs = dataset.latent_heat_corrected / dataset.latent_heat
    ours, _ = compute_closure_factor(dataset)
    by_day = pd.DataFrame({"theirs": theirs.values, "ours": ours}).groupby(np.arange(len(ours)) // 48).median().dropna()
    assert len(by_day) > 150  # of a year with a dark winter
    assert (by_day.theirs - by_day.ours).abs().median() < 0.03
