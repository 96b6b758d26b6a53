"""Units in the spellings of UDUNITS, and those that cannot be converted."""

import numpy as np
import pytest

from bowen.data.units import convert_to_si
from bowen.errors import DataError

SPELLINGS = [
    ("shortwave_down", "W m**-2", 3.0),
    ("shortwave_down", "W.m-2", 3.0),
    ("shortwave_down", "W m⁻²", 3.0),
    ("shortwave_down", "watts per m2", 3.0),
    ("wind_speed", "m s**-1", 3.0),
    ("wind_speed", "m.s-1", 3.0),
    ("wind_speed", "meter second-1", 3.0),
    ("precipitation", "kg m**-2 s**-1", 3.0),
    ("precipitation", "mm/day", 3.0 / 86400.0),
    ("precipitation", "kg m-2 h-1", 3.0 / 3600.0),
    ("air_temperature", "degrees_C", 276.15),
    ("air_temperature", "degree_Celsius", 276.15),
    ("air_temperature", "deg C", 276.15),
    ("air_temperature", "°C", 276.15),
    ("air_pressure", "Pascals", 3.0),
    ("air_pressure", "millibars", 300.0),
    ("specific_humidity", "kg kg**-1", 3.0),
    ("specific_humidity", "g/kg", 0.003),
    ("relative_humidity", "Percent", 0.03),
    ("relative_humidity", "", 3.0),
]


@pytest.mark.parametrize(("name", "units", "expected"), SPELLINGS)
def test_spellings_of_a_unit(name, units, expected):
    np.testing.assert_allclose(convert_to_si(np.array([3.0]), units, name, "file.nc"), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "units"),
    [
        ("shortwave_down", "mW m-2"),
        ("shortwave_down", "J m-2"),
        ("shortwave_down", "W m -2"),
        ("shortwave_down", "0.1 W m-2"),
        ("wind_speed", "s m-1"),
        ("air_temperature", "degF"),
        ("precipitation", "mm"),
    ],
)
def test_other_units_are_refused(name, units):
    with pytest.raises(DataError, match=rf"file.nc: {name} is declared in `{units}`, .*\n  fix: convert it to one of"):
        convert_to_si(np.array([3.0]), units, name, "file.nc")


def test_no_unit_is_refused_where_one_is_due():
    with pytest.raises(DataError, match="air_temperature is declared in no unit"):
        convert_to_si(np.array([3.0]), " ", "air_temperature", "file.nc")
