"""Real files of NetCDF, mutated: each reads as it should, is refused in a sentence, or is doubted."""

import functools
import itertools

import numpy as np
import pytest
import xarray as xr

from bowen.data import read
from tests.data.mutations import FACTORS, complaints, doubted, random_of, refused, same, some

FILES = (  # a season or a year; those that start in winter have what the summer lacks
    "raw/plumber2/DK-Fou_2005-2005_FLUXNET2015",
    "raw/plumber2/US-Wi7_2005-2005_FLUXNET2015",
    "towers/BE-Vie_2014-2014_FLUXNET2015",
    "towers/FR-Hes_2016-2016_ICOS",
    "towers/SE-Svb_2019-2019_ICOS",
    "towers/US-CRT_2011-2011_AmeriFlux",
    "towers/US-Me6_2022-2022_AmeriFlux",
    "towers/US-Wkg_2004-2004_AmeriFlux",
)
NAMES = {"SWdown": "Met", "LWdown": "Met", "Tair": "Met", "Psurf": "Met", "Wind": "Met", "VPD": "Met", "Precip": "Met"}
NAMES |= {"Rnet": "Flux", "Qle": "Flux", "Qh": "Flux"}


SITE = ("latitude", "longitude", "elevation", "reference_height", "canopy_height")


@functools.cache
def files(folder, name):
    """The Met and the Flux file, as the file has them."""
    found = {}
    for part in ("Met", "Flux"):
        with xr.open_dataset(folder / f"{name}_{part}.nc", decode_times=False, mask_and_scale=False) as file:
            kept = {*NAMES, *(f"{name}_qc" for name in NAMES), "Qair", "RH", "Qg", "Qg_qc", "IGBP_veg_short", *SITE}
            found[part] = file[[name for name in file.data_vars if name in kept]].load()
    return found


def write(folder, name, **parts):
    """Both files; returns the first."""
    for part, file in parts.items():
        path = folder / f"{name.split('/')[-1]}_{part}.nc"
        file.to_netcdf(path, engine="scipy", format="NETCDF3_64BIT")
    return folder / f"{name.split('/')[-1]}_Met.nc"


@functools.cache
def untouched(folder, name, scratch):
    """The record as the files have it, and what is said against it."""
    dataset = read(write(scratch, name, **files(folder, name)))
    return dataset, complaints(dataset)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("untouched")


def with_variable(parts, variable, change):
    """The files with the values of one variable changed, what is missing left so."""
    part = NAMES[variable]
    values = parts[part][variable].values
    known = np.isfinite(values) & (values > -9990.0)
    file = parts[part].copy()
    file[variable] = file[variable].copy(data=np.where(known, change(values), values).astype(values.dtype))
    return {**parts, part: file}


def told_by_nothing(name, variable, factor):
    """Longwave radiation all from a reanalysis, rain of two summer months, and rain that another place may have."""
    reanalysis, few = variable == "LWdown" and "plumber2" in name, variable == "Precip" and "US-Me6" in name
    elsewhere = variable == "Precip" and (("SE-Svb" in name and factor == 10.0) or ("US-Wkg" in name and factor == 0.1))
    return reanalysis or few or elsewhere


FACTORED = [(name, variable, factor) for name in FILES for variable in NAMES for factor in FACTORS]


@pytest.mark.parametrize(("name", "variable", "factor"), some([f for f in FACTORED if not told_by_nothing(*f)]))
def test_another_unit_is_noticed(shared_data, tmp_path, scratch, name, variable, factor):
    parts = files(shared_data, name)
    if variable not in parts[NAMES[variable]]:
        pytest.skip(f"{variable} is not in this file")
    before = untouched(shared_data, name, scratch)[1]
    doubted(write(tmp_path, name, **with_variable(parts, variable, lambda values: values * factor)), before)


@pytest.mark.parametrize(("name", "variable"), some(itertools.product(FILES, ["Rnet", "Qle", "Qh"])))
def test_another_sign_is_noticed(shared_data, tmp_path, scratch, name, variable):
    before = untouched(shared_data, name, scratch)[1]
    doubted(write(tmp_path, name, **with_variable(files(shared_data, name), variable, np.negative)), before)


SWAPS = (("Qle", "Qh"), ("SWdown", "Tair"), ("Wind", "Psurf"), ("VPD", "Wind"))


@pytest.mark.parametrize(("name", "pair"), some(itertools.product(FILES, SWAPS)))
def test_swapped_names_are_noticed(shared_data, tmp_path, scratch, name, pair):
    one, other = pair
    parts = files(shared_data, name)
    part = NAMES[one]
    mutant = {**parts, part: parts[part].rename({one: other, other: one})}
    for here in (one, other):  # under the wrong name, with the unit that is due there
        mutant[part][here].attrs = dict(parts[part][here].attrs)
    doubted(write(tmp_path, name, **mutant), untouched(shared_data, name, scratch)[1])


def spoiled(value):
    def change(parts, random):
        variable = random.choice([name for name in NAMES if name in parts[NAMES[name]]])
        at = int(random.integers(0, parts["Met"].sizes["time"]))

        def put(values):
            values = values.copy()
            values.reshape(-1)[at] = value
            return values

        file = parts[NAMES[variable]].copy()
        file[variable] = file[variable].copy(data=put(file[variable].values))
        return {**parts, NAMES[variable]: file}

    return change


def order(change):
    def reordered(parts, random):
        return {**parts, "Met": parts["Met"].isel(time=change(parts["Met"].sizes["time"], random))}

    return reordered


def doubled(size, random):
    at = int(random.integers(2, size - 2))
    return np.r_[0:at, at - 2 : size]


def without(variable):
    return lambda parts, random: {**parts, "Met": parts["Met"].drop_vars(variable)}


def unit(variable, text):
    def change(parts, random):
        file = parts["Met"].copy()
        file[variable] = file[variable].assign_attrs(units=text)
        return {**parts, "Met": file}

    return change


def of_time(**attributes):
    def change(parts, random):
        file = parts["Met"].copy()
        file["time"] = file["time"].assign_attrs(**attributes)
        return {**parts, "Met": file}

    return change


def other_years(parts, random):
    file = parts["Flux"].assign_coords(time=parts["Flux"].time.copy(data=parts["Flux"].time.values + 3 * 366 * 86400))
    file["time"].attrs = parts["Flux"].time.attrs
    return {**parts, "Flux": file}


BROKEN = {
    "infinity": (spoiled(np.inf), [r"is infinite at \d{4}-"]),
    "minus infinity": (spoiled(-np.inf), [r"is infinite at \d{4}-"]),
    "shuffled steps": (order(lambda size, random: random.permutation(size)), ["out of order"]),
    "backward": (order(lambda size, random: np.arange(size)[::-1]), ["out of order"]),
    "duplicated hours": (order(doubled), ["out of order|duplicated"]),
    "one step": (order(lambda size, random: np.arange(1)), ["1 time step"]),
    "no step": (order(lambda size, random: np.arange(0)), []),
    "days": (order(lambda size, random: np.arange(0, size, 48)), ["step is 86400 s"]),
    "no light": (without("SWdown"), ["shortwave_down", "SWdown"]),
    "no wind": (without("Wind"), ["wind_speed", "Wind"]),
    "no time": (without("time"), ["time"]),
    "an unknown unit": (unit("Wind", "furlong/fortnight"), ["wind_speed|Wind", "furlong"]),
    "an unknown unit of light": (unit("SWdown", "lux"), ["shortwave_down|SWdown", "lux"]),
    "time without a unit": (of_time(units="1"), ["time"]),
    "time in an unknown unit": (of_time(units="moons since 2001"), ["time|cannot be read"]),
    "fluxes of other years": (other_years, ["Flux.nc", "no fluxes at the times"]),
}


@pytest.mark.parametrize(("name", "change"), some(itertools.product(FILES, BROKEN)))
def test_damage_is_told_with_its_place_and_a_remedy(shared_data, tmp_path, name, change):
    spoil, words = BROKEN[change]
    path = write(tmp_path, name, **spoil(files(shared_data, name), random_of(name, change)))
    refused(path, *words, named=name.split("/")[-1])


def cut(raw, random):
    return raw[: int(random.integers(len(raw) // 10, len(raw) * 9 // 10))]


BYTES = {
    "cut": cut,
    "cut to the first bytes": lambda raw, random: raw[:4],
    "a text": lambda raw, random: b"this is no NetCDF",
    "nothing": lambda raw, random: b"",
    "noise after the first bytes": lambda raw, random: raw[:8] + random.bytes(4000),
}


@pytest.mark.parametrize(("name", "part", "change"), some(itertools.product(FILES, ["Met", "Flux"], BYTES)))
def test_damaged_bytes_are_told(shared_data, tmp_path, name, part, change):
    stem = name.split("/")[-1]
    for which in ("Met", "Flux"):
        (tmp_path / f"{stem}_{which}.nc").write_bytes((shared_data / f"{name}_{which}.nc").read_bytes())
    path = tmp_path / f"{stem}_{part}.nc"
    path.write_bytes(BYTES[change](path.read_bytes(), random_of(name, part, change)))
    refused(tmp_path / f"{stem}_Met.nc", named=path.name)


UNITS = {"Tair": ("degC", 1.0, -273.15), "Psurf": ("hPa", 0.01, 0.0), "VPD": ("kPa", None, 0.0)}


@pytest.mark.parametrize(("name", "variable"), some(itertools.product(FILES, UNITS)))
def test_another_unit_that_the_file_tells_changes_nothing(shared_data, tmp_path, scratch, name, variable):
    parts = files(shared_data, name)
    text, factor, offset = UNITS[variable]
    if factor is None:
        factor = {"hPa": 0.1, "kPa": 1.0, "Pa": 0.001}[parts["Met"][variable].attrs["units"]]
    mutant = with_variable(parts, variable, lambda values: values.astype(float) * factor + offset)
    mutant["Met"][variable].attrs["units"] = text
    found, expected = read(write(tmp_path, name, **mutant)), untouched(shared_data, name, scratch)[0]
    for here in ("air_temperature", "air_pressure", "vapor_pressure_deficit"):
        np.testing.assert_allclose(found[here].values, expected[here].values, rtol=1e-5, atol=0.2)


@pytest.mark.parametrize("name", FILES)
def test_steps_left_out_leave_the_others_alone(shared_data, tmp_path, scratch, name):
    parts = files(shared_data, name)
    size = parts["Met"].sizes["time"]
    first = int(random_of(name).integers(48, size - 10 * 48))
    kept = np.r_[0:first, first + 5 * 48 : size]
    found = read(write(tmp_path, name, **{**parts, "Met": parts["Met"].isel(time=kept)}))
    dataset = untouched(shared_data, name, scratch)[0]
    names = [n for n in dataset.data_vars if not n.startswith("longwave")]
    same(dataset[names], found[names], kept)
