import numpy as np
import pytest

from bowen.data import QC, SCHEMA, get_attributes
from bowen.data.formats import load_formats
from bowen.data.units import convert_to_si
from bowen.errors import DataError


def test_no_name_means_two_things():
    names = [name for variable in SCHEMA.values() for name in (variable.alma, *variable.aliases) if name]
    assert len(names) == len(set(names))
    for kind in load_formats().values():
        columns = [column for choice in kind.columns.values() for column in choice]
        assert len(columns) == len(set(columns))


@pytest.mark.parametrize("name", SCHEMA)
def test_every_variable_is_described(name):
    described = get_attributes(name)
    assert described["units"] and described["long_name"] and described["cell_methods"].startswith("time: ")
    low, high = SCHEMA[name].valid_range
    assert low < high


def test_flags_are_described():
    described = get_attributes("air_temperature_qc")
    assert described["flag_values"] == [int(code) for code in QC] == [0, 1, 2, 3, 4, 5, 6, 7, 9]
    assert described["flag_meanings"].split()[-1] == "missing"


def test_an_unknown_name_is_named():
    with pytest.raises(DataError, match=r"catalog of variables: has no `latent_heet`.\n  nearest: latent_heat"):
        get_attributes("latent_heet")


@pytest.mark.parametrize(
    ("name", "units", "value", "expected"),
    [
        ("air_pressure", "kPa", 95.3, 95300.0),
        ("air_pressure", "mbar", 953.0, 95300.0),
        ("air_temperature", "degrees_Celsius", 20.0, 293.15),
        ("air_temperature", "k", 293.15, 293.15),
        ("precipitation", "mm/s", 1e-3, 1e-3),
        ("leaf_area_index", "-", 3.0, 3.0),
        ("specific_humidity", "g/kg", 10.0, 0.01),
    ],
)
def test_units_become_those_of_the_catalogue(name, units, value, expected):
    np.testing.assert_allclose(convert_to_si(np.asarray(value), units, name, "file"), expected, rtol=1e-12)
