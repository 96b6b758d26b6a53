"""Real files, mutated in hundreds of ways: each reads as it should, is refused in a sentence, or is doubted.

Left out is what nothing in a record tells apart: rain in another unit or missing for a season (a dry one looks alike),
ground heat in another unit where it is small, and a lost block that happens to leave a row of the right width.
"""

import functools
import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bowen.data import read, summarize_record
from bowen.data.checks.clock import compute_clock_lag
from tests.data.mutations import (
    DAYS,
    FACTORS,
    STEPS,
    alternatives,
    complaints,
    doubted,
    random_of,
    refused,
    same,
    some,
    tower,
)
from tests.data.test_raw_files import TABLES

TOWERS = tuple(TABLES)


@functools.cache
def untouched(folder, name, scratch):
    """The dataset of a season as the file has it, and what is said against it."""
    dataset = read(tower(folder, name).write(scratch))
    return dataset, complaints(dataset)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("untouched")


# Other ways to write the same table.


def shuffled_columns(table, random):
    return replace(table, cells=table.cells[random.permutation(table.cells.columns)])


def quoted(table, random):
    del random
    return replace(table, cells=('"' + table.cells + '"').rename(columns=lambda name: f'"{name}"'))


def spaced(table, random):
    del random
    return replace(table, cells=(" " + table.cells).rename(columns=lambda name: f" {name} "))


def as_nan(table, random):
    del random
    cells = table.cells.mask(table.cells.isin(["-9999", "-9999.0000"]), "NaN")
    return replace(table, cells=cells)


def annotated(table, random):
    cells = table.cells.copy()
    cells.insert(int(random.integers(2, cells.shape[1])), "REMARK", "cloudy, they say".replace(",", ""))
    return replace(table, cells=cells)


HARMLESS = {
    "semicolons": lambda table, random: replace(table, separator=";"),
    "tabs": lambda table, random: replace(table, separator="\t"),
    "byte order mark": lambda table, random: replace(table, encoding="utf-8-sig"),
    "lines of Windows": lambda table, random: replace(table, end="\r\n"),
    "UTF-16": lambda table, random: replace(table, encoding="utf-16"),
    "blank lines at the end": lambda table, random: replace(table, below="\n" * int(random.integers(1, 5))),
    "comments above": lambda table, random: replace(table, above="# sent by a friend\n\n" + table.above),
    "gzip": lambda table, random: replace(table, packed=".gz"),
    "xz": lambda table, random: replace(table, packed=".xz"),
    "shuffled columns": shuffled_columns,
    "quotes": quoted,
    "spaces": spaced,
    "NaN for -9999": as_nan,
    "a column of remarks": annotated,
}


@pytest.mark.parametrize(("name", "change"), some(itertools.product(TOWERS, HARMLESS)))
def test_another_way_to_write_it_changes_nothing(shared_data, tmp_path, scratch, name, change):
    original = tower(shared_data / "raw", name)
    mutant = original
    for at in range(len(original.tables)):
        mutant = mutant.changed(lambda table: HARMLESS[change](table, random_of(name, change)), at)
    dataset, _ = untouched(shared_data / "raw", name, scratch)
    same(dataset, read(mutant.write(tmp_path)))


# Rows that are missing: the rest stays as it is.


def cut_at_a_row(cells, random):
    kept = int(random.integers(20 * STEPS, 50 * STEPS))
    return cells.iloc[:kept], slice(kept)


def without_a_week(cells, random):
    first = int(random.integers(STEPS, 40 * STEPS))
    rest = np.r_[0:first, first + 7 * STEPS : len(cells)]
    return cells.iloc[rest], rest


@pytest.mark.parametrize(("name", "change"), some(itertools.product(TOWERS, [cut_at_a_row, without_a_week])))
def test_missing_rows_leave_the_others_alone(shared_data, tmp_path, scratch, name, change):
    original = tower(shared_data / "raw", name)
    dataset, _ = untouched(shared_data / "raw", name, scratch)
    cells, kept = change(original.tables[0].cells, random_of(name, change.__name__))
    found = read(original.with_cells(lambda _: cells).write(tmp_path))
    steps = np.arange(dataset.sizes["time"])[kept]
    measured = [n for n in dataset.data_vars if n not in ("longwave_down", "longwave_down_qc")]  # may be estimated
    same(dataset[measured], found[measured], steps)
    gone = dataset.time.values[0] + np.arange(found.sizes["time"]) * np.timedelta64(30, "m")
    lost = ~np.isin(gone, dataset.time.values[steps])
    assert np.isnan(found.air_temperature.values[lost]).all() and (found.air_temperature_qc.values[lost] == 9).all()


# Damage that cannot be read over.


def cell(row, column, text):
    def change(cells):
        cells.iloc[row, cells.columns.get_loc(column)] = text
        return cells

    return change


def rows(order):
    return lambda tower, random: tower.with_cells(lambda cells: cells.iloc[order(len(cells), random)])


def swapped_rows(size, random):
    order, at = np.arange(size), int(random.integers(1, size - 1))
    order[[at, at + 1]] = order[[at + 1, at]]
    return order


def doubled_hours(size, random):
    at = int(random.integers(2, size - 3))
    return np.r_[0:at, at - 2 : at, at:size]


def header_twice(tower, random):
    at = int(random.integers(1, len(tower.tables[0].cells)))

    def change(cells):
        again = pd.DataFrame([cells.columns], columns=cells.columns)
        return pd.concat([cells.iloc[:at], again, cells.iloc[at:]])

    return tower.with_cells(change)


def with_word(text, *names):
    def change(tower, random):
        column = tower.columns[random.choice(names)]
        return tower.with_cells(
            cell(int(random.integers(0, len(tower.tables[0].cells))), column, text), tower.table_of(column)
        )

    return change


def renamed(tower, random):
    gone = alternatives(tower, random.choice(("air_temperature", "shortwave_down", "wind_speed")))
    return tower.with_cells(lambda cells: cells.rename(columns={column: f"my {column}" for column in gone}))


def impossible_stamp(tower, random):
    row = int(random.integers(0, len(tower.tables[0].cells)))
    text = "201413010030" if tower.form == "%Y%m%d%H%M" else "2014-13-01 00:30:00"
    return tower.with_cells(cell(row, tower.stamps, text))


def twice_a_name(tower, random):
    names = list(tower.tables[0].cells)
    first, second = random.choice(np.arange(2, len(names)), 2, replace=False)
    names[first] = names[second]
    return tower.with_cells(lambda cells: cells.set_axis(names, axis=1))


def every_nth(step):
    return lambda size, random: np.arange(0, size, step)


def off_the_axis(tower, random):
    at = int(random.integers(2, len(tower.tables[0].cells)))

    def change(cells):
        stamps = pd.to_datetime(cells[tower.stamps], format=tower.form)
        stamps.iloc[at:] += pd.Timedelta(minutes=7)
        cells[tower.stamps] = stamps.dt.strftime(tower.form)
        return cells

    return tower.with_cells(change)


NUMBERS = ("air_temperature", "shortwave_down", "wind_speed", "latent_heat", "sensible_heat", "precipitation")
BROKEN = {  # and what the message has to name
    "a word": (with_word("rain", *NUMBERS), ["row \\d+", "`rain`", "column"]),
    "infinity": (with_word("inf", *NUMBERS), ["row \\d+", "`inf`", "column"]),
    "minus infinity": (with_word("-inf", *NUMBERS), ["row \\d+", "`-inf`", "column"]),
    "a spreadsheet's error": (with_word("#REF!", *NUMBERS), ["row \\d+", "#REF!", "column"]),
    "a decimal comma": (with_word('"3,7"', *NUMBERS), ["row \\d+", "3,7", "column"]),
    "header twice": (header_twice, ["row \\d+", "column|no stamp"]),
    "shuffled rows": (rows(lambda size, random: random.permutation(size)), ["out of order", "rows \\d+ and \\d+"]),
    "swapped rows": (rows(swapped_rows), ["out of order", "rows \\d+ and \\d+"]),
    "backward": (rows(lambda size, random: np.arange(size)[::-1]), ["out of order", "rows 1 and 2"]),
    "duplicated hours": (rows(doubled_hours), ["out of order|duplicated", "rows \\d+ and \\d+"]),
    "each row twice": (rows(lambda size, random: np.repeat(np.arange(size), 2)), ["duplicated", "rows 1 and 2"]),
    "one row": (rows(lambda size, random: np.arange(1)), ["1 time step"]),
    "no row": (rows(lambda size, random: np.arange(0)), ["no rows"]),
    "days": (rows(every_nth(STEPS)), ["step is 86400 s"]),
    "a column called otherwise": (renamed, ["no column for|none of the kinds|is missing"]),
    "two columns of a name": (twice_a_name, ["two columns are called"]),
    "an impossible stamp": (impossible_stamp, ["row \\d+", "no stamp"]),
    "off the axis": (off_the_axis, ["irregular time steps", "rows \\d+ and \\d+"]),
    "spaces for commas": (
        lambda tower, random: tower.changed(lambda t: replace(t, separator=" ")),
        ["name the columns"],
    ),
    "Latin-1": (
        lambda tower, random: tower.with_cells(lambda c: c.rename(columns={c.columns[-1]: "größe"})).changed(
            lambda t: replace(t, encoding="latin-1")
        ),
        ["UTF-8"],
    ),
}


@pytest.mark.parametrize(("name", "change"), some(itertools.product(TOWERS, BROKEN)))
def test_damage_is_told_with_its_place_and_a_remedy(shared_data, tmp_path, name, change):
    spoil, words = BROKEN[change]
    refused(spoil(tower(shared_data / "raw", name), random_of(name, change)).write(tmp_path), *words)


def cut(raw, random):
    """In the middle of a row, so that at least one column is missing."""
    at = int(random.integers(len(raw) // 2, len(raw)))
    return raw[: raw.rfind(b",", 0, at) + 1] if raw.rfind(b"\n", 0, at) < raw.rfind(b",", 0, at) else raw[: at - 3]


def short_row(raw, random):
    lines = raw.split(b"\n")
    at = int(random.integers(len(lines) // 2, len(lines) - 2))
    lines[at] = lines[at][: lines[at].rfind(b",", 0, len(lines[at]) // 2)]
    return b"\n".join(lines)


def long_row(raw, random):
    lines = raw.split(b"\n")
    at = int(random.integers(len(lines) // 2, len(lines) - 2))
    parts = lines[at].split(b",")
    parts.insert(len(parts) // 3, b"1")
    lines[at] = b",".join(parts)
    return b"\n".join(lines)


def decimal_commas(raw, random):
    head, _, body = raw.partition(b"SW")
    return head + b"SW" + body.replace(b".", b",")


def lost_block(raw, random):
    """With another number of columns in what is left of the first and the last row; else nothing tells of it."""
    first, width = int(random.integers(len(raw) // 3, len(raw) // 2)), raw[: raw.find(b"2")].count(b",")
    size = next(n for n in range(1500, 9000) if (raw[first : first + n].count(b",") - 3) % width == 0)
    return raw[:first] + raw[first + size :]


def noise(raw, random):
    return random.bytes(len(raw) // 100)


def zeros_within(raw, random):
    first = int(random.integers(len(raw) // 3, len(raw) // 2))
    return raw[:first] + bytes(512) + raw[first + 512 :]


BYTES = {
    "cut in a row": cut,
    "a row too short": short_row,
    "a row too long": long_row,
    "decimal commas": decimal_commas,
    "a block lost": lost_block,
    "zeros of a failed disk": zeros_within,
    "noise": noise,
    "nothing": lambda raw, random: b"",
    "a blank line": lambda raw, random: b"\n",
    "a page of the web": lambda raw, random: b"<!DOCTYPE html>\n<html><body>404: not here, nor there</body></html>\n",
    "an archive without files": lambda raw, random: b"PK\x05\x06" + bytes(18),
    "half an archive": lambda raw, random: b"PK\x03\x04" + raw[:4000],
    "half an xz": lambda raw, random: b"\xfd7zXZ\x00" + raw[:4000],
    "half of NetCDF": lambda raw, random: b"\x89HDF\r\n\x1a\n" + raw[:4000],
}


@pytest.mark.parametrize(("name", "change"), some(itertools.product(TOWERS, BYTES)))
def test_damaged_bytes_are_told(shared_data, tmp_path, name, change):
    path = tower(shared_data / "raw", name).write(tmp_path)
    path.write_bytes(BYTES[change](path.read_bytes(), random_of(name, change)))
    refused(path)


# What reads well and is wrong.

SIZES = ("shortwave_down", "longwave_down", "net_radiation", "air_temperature", "air_pressure", "wind_speed")
SIZES += ("vapor_pressure_deficit", "relative_humidity", "vapor_pressure", "latent_heat", "sensible_heat")


def measured_by(name, *variables):
    """The variables that a tower has in a column of its own, not from a reanalysis."""
    columns = TABLES[name][-1]
    modeled = ("longwave_down",) if "BE-Vie" in name else ()
    return [variable for variable in variables if variable in columns and variable not in modeled]


COLUMNS = [(name, variable) for name in TOWERS for variable in measured_by(name, *SIZES)]
UNITS = [(*column, factor) for column in COLUMNS for factor in FACTORS]


@pytest.mark.parametrize(("name", "variable", "factor"), some(UNITS))
def test_another_unit_is_noticed(shared_data, tmp_path, scratch, name, variable, factor):
    mutant = tower(shared_data / "raw", name).with_numbers(variable, lambda numbers: numbers * factor)
    doubted(mutant.write(tmp_path), untouched(shared_data / "raw", name, scratch)[1])


FLUXES = ("net_radiation", "latent_heat", "sensible_heat")


@pytest.mark.parametrize(("name", "variable"), some(itertools.product(TOWERS, FLUXES)))
def test_another_sign_is_noticed(shared_data, tmp_path, scratch, name, variable):
    mutant = tower(shared_data / "raw", name).with_numbers(variable, np.negative)
    doubted(mutant.write(tmp_path), untouched(shared_data / "raw", name, scratch)[1])


SWAPS = (
    ("air_temperature", "vapor_pressure_deficit"),
    ("air_temperature", "relative_humidity"),
    ("air_temperature", "vapor_pressure"),
    ("shortwave_down", "longwave_down"),
    ("shortwave_down", "net_radiation"),
    ("air_pressure", "wind_speed"),
    ("wind_speed", "air_temperature"),
    ("net_radiation", "latent_heat"),
    ("latent_heat", "sensible_heat"),
    ("precipitation", "wind_speed"),
)


@pytest.mark.parametrize(
    ("name", "one", "other"), some([(n, *pair) for n in TOWERS for pair in SWAPS if len(measured_by(n, *pair)) == 2])
)
def test_swapped_columns_are_noticed(shared_data, tmp_path, scratch, name, one, other):
    original = tower(shared_data / "raw", name)
    mutant = original
    for here, there in ((one, other), (other, one)):
        for column in alternatives(original, here):
            mutant = mutant.with_texts(column, original.texts(original.columns[there]))
    doubted(mutant.write(tmp_path), untouched(shared_data / "raw", name, scratch)[1])


def standing(days, random, at_zero):
    """Numbers that stay for some days as they were at the first that is not zero, or at zero."""
    first = int(random.integers(0, (DAYS - days) * STEPS + 1))

    def change(numbers):
        some = numbers[first:][(numbers[first:] > -9990.0) & (numbers[first:] != 0.0)]
        changed = numbers.copy()
        changed[first : first + days * STEPS] = 0.0 if at_zero else some[0]
        return changed

    return change


@pytest.mark.parametrize(
    ("name", "variable", "days"), some([(*column, days) for column in COLUMNS for days in (5, DAYS)])
)
def test_a_sensor_that_stands_still_is_noticed(shared_data, tmp_path, scratch, name, variable, days):
    change = standing(days, random_of(name, variable, days), at_zero=False)
    mutant = tower(shared_data / "raw", name).with_numbers(variable, change)
    doubted(mutant.write(tmp_path), untouched(shared_data / "raw", name, scratch)[1])


@pytest.mark.parametrize(
    ("name", "variable", "days"),
    some(itertools.product(TOWERS, ("shortwave_down", "wind_speed", *FLUXES), (5, DAYS))),
)
def test_a_sensor_without_power_is_noticed(shared_data, tmp_path, scratch, name, variable, days):
    change = standing(days, random_of(name, variable, days), at_zero=True)
    mutant = tower(shared_data / "raw", name).with_numbers(variable, change)
    doubted(mutant.write(tmp_path), untouched(shared_data / "raw", name, scratch)[1])


def shifted(tower, minutes, steps=slice(None)):
    """The tower with some of its stamps shifted, in all tables; steps that meet others are lost."""

    def change(cells):
        for column in [name for name in cells if name.startswith("TIMESTAMP")]:
            stamps = pd.to_datetime(cells[column], format=form)
            stamps.iloc[steps] += pd.Timedelta(minutes=minutes)
            cells[column] = stamps.dt.strftime(form)
        return cells.drop_duplicates(key).sort_values(key)

    form, key = tower.form, tower.stamps
    for at in range(len(tower.tables)):
        tower = tower.with_cells(change, at)
    return tower


@pytest.mark.parametrize(("name", "minutes"), some(itertools.product(TOWERS, (-720, -60, -30, 30, 60, 720))))
def test_shifted_stamps_are_noticed(shared_data, tmp_path, scratch, name, minutes):
    mutant = shifted(tower(shared_data / "raw", name), minutes)
    told, usual = (
        summarize_record(read(mutant.write(tmp_path))),
        compute_clock_lag(untouched(shared_data / "raw", name, scratch)[0]),
    )
    off = (told["clock_lag"] - usual - minutes + 720.0) % 1440.0 - 720.0
    assert abs(off) <= 10.0
    assert ("clock", "doubt") in [(v["about"], v["mark"]) for v in told["verdicts"]] or abs(usual + minutes) < 20.0


@pytest.mark.parametrize("minutes", [-60, 60])
@pytest.mark.parametrize("name", TOWERS)
def test_daylight_saving_time_is_noticed(shared_data, tmp_path, scratch, name, minutes):
    day = int(random_of(name, minutes).integers(20, 40))
    mutant = shifted(tower(shared_data / "raw", name), minutes, slice(day * STEPS, None))
    dataset = read(mutant.write(tmp_path))
    assert ("changes", 1) in complaints(dataset) - untouched(shared_data / "raw", name, scratch)[1]


@pytest.mark.parametrize("name", [name for name in TOWERS if TABLES[name][0] == "TIMESTAMP_START"])
def test_start_and_end_mixed_up_are_noticed(shared_data, tmp_path, scratch, name):
    both = {"TIMESTAMP_START": "TIMESTAMP_END", "TIMESTAMP_END": "TIMESTAMP_START"}
    mutant = tower(shared_data / "raw", name).with_cells(lambda cells: cells.rename(columns=both))
    doubted(mutant.write(tmp_path), untouched(shared_data / "raw", name, scratch)[1])
