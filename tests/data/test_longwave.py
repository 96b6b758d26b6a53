"""Longwave radiation from air and light."""

import numpy as np
import pytest

from bowen.data import (
    compute_clear_sky_radiation,
    disaggregate,
    estimate_cloud_fraction,
    estimate_longwave,
    fill_forcing,
    read,
    read_daily_tower,
)
from bowen.physics.thermodynamics import vapor_pressure

GREENWICH = {"latitude": 51.5, "longitude": 0.0, "utc_offset_hours": 0.0}


def test_the_clear_sky_of_prata_and_the_black_one():
    temperature, vapor = np.array([288.15]), np.array([1000.0])
    black = 5.6734e-8 * temperature**4
    np.testing.assert_allclose(estimate_longwave(temperature, vapor, np.zeros(1)), 0.77623 * black, rtol=1e-4)
    np.testing.assert_allclose(estimate_longwave(temperature, vapor, np.ones(1)), black)


def test_clouds_by_the_light():
    stamps = np.datetime64("2015-03-01", "ns") + np.arange(6 * 48) * np.timedelta64(1800, "s")
    clear = compute_clear_sky_radiation(stamps, 1800, GREENWICH)
    light = clear * np.repeat([1.0, 0.4, 0.4, 0.4, 1.1, 1.1], 48)
    light[2 * 48 + 20 : 2 * 48 + 30] = np.nan
    fraction = estimate_cloud_fraction(light, clear, 1800)
    noons = fraction.reshape(6, 48)[:, 24]
    np.testing.assert_allclose(noons, [0.0, 0.6, 0.6, 0.6, 0.0, 0.0], atol=1e-12)
    assert ((fraction >= 0.0) & (fraction <= 1.0)).all()
    night = fraction[30:66]  # from a clear day to a cloudy one
    assert (np.diff(night) >= -1e-12).all() and np.diff(night).max() < 0.1


def test_clouds_without_any_sun():
    assert (estimate_cloud_fraction(np.zeros(48), np.zeros(48), 1800) == 0.5).all()


@pytest.mark.parametrize("day", ["03-21", "06-15", "12-15"])
def test_a_day_of_sun(day):
    """Against the daily sum of eq. 21 of FAO-56, in MJ m-2, at 50 degrees north."""
    number = (np.datetime64(f"2015-{day}") - np.datetime64("2014-12-31")).astype(int)
    tilt, latitude = 0.409 * np.sin(2 * np.pi * number / 365 - 1.39), np.radians(50.0)
    half = np.arccos(-np.tan(latitude) * np.tan(tilt))
    above = 1 + 0.033 * np.cos(2 * np.pi * number / 365)
    height = half * np.sin(latitude) * np.sin(tilt) + np.cos(latitude) * np.cos(tilt) * np.sin(half)
    due = 24 * 60 / np.pi * 0.0820 * above * height
    stamps = np.datetime64(f"2015-{day}", "ns") + np.arange(48) * np.timedelta64(1800, "s")
    light = compute_clear_sky_radiation(stamps, 1800, {**GREENWICH, "latitude": 50.0})
    assert light.mean() * 86400e-6 / 0.75 == pytest.approx(due, rel=0.03)
    assert light.argmax() in (23, 24)


def test_high_places_have_more_light():
    noon = np.array(["2015-06-15T12:00"], "datetime64[ns]")
    low, high = (
        compute_clear_sky_radiation(noon, 1800, {**GREENWICH, "elevation": meters}) for meters in (0.0, 3000.0)
    )
    np.testing.assert_allclose(high / low, 0.81 / 0.75)


def test_no_bias_by_day_at_towers_that_measured(shared_data):
    """Over seven towers, and within 10 W m-2 at each: mean error of days, from daily weather alone."""
    biases = []
    for path in sorted((shared_data / "daily_towers_2").glob("US-x*_daily.nc"))[::3]:
        daily = read_daily_tower(path)
        made = disaggregate(daily.drop_vars(["longwave_down", "longwave_down_qc"])).longwave_down.values
        seen = daily.longwave_down_qc.values == 0
        biases.append((made.reshape(-1, 48).mean(axis=1) - daily.longwave_down.values)[seen].mean())
    assert len(biases) == 7 and abs(np.mean(biases)) < 2.0
    assert np.abs(biases).max() < 10.0


@pytest.mark.parametrize("name", ["FR-Hes_2016", "IT-Amp_2003", "SE-Svb_2019", "US-Wkg_2004"])
def test_against_towers_that_measured(shared_data, name):
    met = next((shared_data / "towers").glob(f"{name}*_Met.nc"))
    record = fill_forcing(read(met))
    sky = compute_clear_sky_radiation(record.time.values, record.attrs["timestep_s"], record.attrs)
    ours = estimate_longwave(
        record.air_temperature.values,
        vapor_pressure(record.specific_humidity.values, record.air_pressure.values),
        estimate_cloud_fraction(record.shortwave_down.values, sky, record.attrs["timestep_s"]),
    )
    seen = record.longwave_down_qc.values == 0
    difference = (ours - record.longwave_down.values)[seen]
    assert abs(difference.mean()) < 18.0 and difference.std() < 35.0
