"""Time stamps as people write them: without leading zeros, as decimals, in several columns, or against the rows."""

import numpy as np
import pandas as pd
import pytest

from bowen.data import read
from bowen.errors import DataError
from tests.data.files import SITE, fluxnet_table, weather, write_csv

COLUMNS = {
    "shortwave_down": "Rg",
    "longwave_down": "Ld",
    "air_temperature": "Ta",
    "relative_humidity": "rH",
    "wind_speed": "u",
    "precipitation": "rain",
    "latent_heat": "LE",
    "sensible_heat": "Hs",
}


def read_stamped(folder, stamps, form, *, units_lines=0, above="", start="2012-02-20", days=16):
    """Read a table of one's own whose columns of stamps are given by name, as text."""
    values = weather(days, start=start)[["SW_IN_F", "LW_IN_F", "TA_F", "RH", "WS_F", "P_F", "LE_F_MDS", "H_F_MDS"]]
    table = pd.DataFrame(stamps).join(values.set_axis(list(COLUMNS.values()), axis=1).reset_index(drop=True))
    (folder / "logger.csv").write_text(above + table.to_csv(index=False))
    lines = ['title = "logger"', f"units_lines = {units_lines}", "[time]", f"start = {list(stamps)}"]
    lines += [f'format = "{form}"', "[columns]", *(f'{name} = ["{column}"]' for name, column in COLUMNS.items())]
    lines += ["[units]", 'air_temperature = "degC"', 'relative_humidity = "%"', 'precipitation = "mm"']
    (folder / "mine.toml").write_text("\n".join(lines))
    return read(folder / "logger.csv", kind=folder / "mine.toml", site=SITE)


TIME = weather().index
HOURS = np.asarray(TIME.hour + TIME.minute / 60.0)


@pytest.mark.parametrize(
    ("stamps", "form"),
    [
        ({"year": TIME.year, "doy": TIME.day_of_year, "hhmm": TIME.hour * 100 + TIME.minute}, "%Y %j %H%M"),
        ({"date": TIME.strftime("%Y%m%d"), "time": TIME.strftime("%H%M")}, "%Y%m%d %H%M"),
        ({"date": TIME.strftime("%d.%m.%Y"), "time": TIME.hour * 100 + TIME.minute}, "%d.%m.%Y %H%M"),
        ({"date": TIME.strftime("%d%m%Y").astype(int), "hour": HOURS}, "%d%m%Y %H"),
        ({"date": TIME.strftime("%Y-%m-%d"), "hour": HOURS}, "%Y-%m-%d %H"),
        ({"year": TIME.year, "day": np.round(TIME.day_of_year + HOURS / 24.0, 4)}, "%Y %j"),
        ({"stamp": TIME.strftime("%y%m%d%H%M")}, "%y%m%d%H%M"),
        ({"year": TIME.year, "month": TIME.month, "day": TIME.day, "h": TIME.hour, "m": TIME.minute}, "%Y %m %d %H %M"),
    ],
    ids=["HHMM", "DATE and TIME", "HHMM after text", "decimal hours", "decimal hours after text", "decimal days",
         "YYMMDDHHMM", "five columns"],
)  # fmt: skip
def test_stamps_are_those_of_the_file(tmp_path, stamps, form):
    dataset = read_stamped(tmp_path, stamps, form)
    np.testing.assert_array_equal(dataset.time, TIME)


def test_years_of_two_digits_keep_their_leading_zero(tmp_path):
    time = weather(start="2006-05-01").index
    for stamps in (time.strftime("%y%m%d%H%M"), time.strftime("%y%m%d%H%M").astype(int)):
        dataset = read_stamped(tmp_path, {"stamp": stamps}, "%y%m%d%H%M", start="2006-05-01")
        assert (dataset.time.values[0], dataset.time.values[-1]) == (time[0], time[-1])


def test_minutes_as_hhmm_may_begin_at_a_quarter(tmp_path):
    later = TIME + pd.Timedelta(minutes=15)
    stamps = {"year": later.year, "doy": later.day_of_year, "hhmm": later.hour * 100 + later.minute}
    dataset = read_stamped(tmp_path, stamps, "%Y %j %H%M")
    np.testing.assert_array_equal(dataset.time, later)


def test_hour_24_is_the_end_of_the_day(tmp_path):
    before = TIME - pd.Timedelta(minutes=30)
    hhmm = before.hour * 100 + before.minute + np.where(before.minute == 30, 70, 30)
    dataset = read_stamped(tmp_path, {"date": before.strftime("%Y%m%d"), "time": hhmm}, "%Y%m%d %H%M")
    assert hhmm.max() == 2400
    np.testing.assert_array_equal(dataset.time, TIME)


@pytest.mark.parametrize(
    ("hhmm", "message"),
    [
        (2430, r"row 7 has the date and time `20120220 2430`, which is no stamp like 20140101 0030"),
        (60, r"row 7 has the date and time `20120220 0060`"),
        (-30, r"row 7 has the date and time `20120220 -030`"),
        ("", r"row 7 has the date and time `20120220`, which is no stamp"),
    ],
)
def test_an_impossible_time_of_day_is_named_as_written(tmp_path, hhmm, message):
    times = (TIME.hour * 100 + TIME.minute).astype(object).to_numpy().copy()
    times[5] = hhmm
    with pytest.raises(DataError, match=message):
        read_stamped(tmp_path, {"date": TIME.strftime("%Y%m%d"), "time": times}, "%Y%m%d %H%M")


@pytest.mark.parametrize(
    "above",
    ["some,words,only\n", "TOA5,tower,CR6,1.0\n", "file_info,,fluxes,,,air,,,,\n# made by hand\n"],
)
def test_the_names_may_stand_below_other_lines(tmp_path, above):
    dataset = read_stamped(tmp_path, {"stamp": TIME.strftime("%Y%m%d%H%M")}, "%Y%m%d%H%M", above=above)
    assert dataset.sizes["time"] == len(TIME)


NAME = "FLX_XX-Syn_FLUXNET2015_FULLSET_HH_2012-2012_1-4.csv"


def test_blank_rows_at_the_end_are_left_out(tmp_path):
    path = write_csv(tmp_path / NAME, fluxnet_table())
    whole = read(path, site=SITE)
    columns = path.read_text().split("\n")[0].count(",")
    for blank in (1, 3):
        (tmp_path / NAME).write_text(write_csv(path, fluxnet_table()).read_text() + ("," * columns + "\n") * blank)
        dataset = read(path, site=SITE)
        assert dataset.drop_attrs().identical(whole.drop_attrs())
        assert f"Left out at the end of {NAME}: {blank} blank row" in dataset.attrs["assumptions"]


@pytest.mark.parametrize("row", [100, 767])
def test_a_row_without_its_stamp_is_named(tmp_path, row):
    table = fluxnet_table().astype({"TIMESTAMP_START": object, "TIMESTAMP_END": object})
    table.loc[row, ["TIMESTAMP_START", "TIMESTAMP_END"]] = ""
    with pytest.raises(DataError, match=rf"row {row + 2} has no TIMESTAMP_START \(1 such rows\)"):
        read(write_csv(tmp_path / NAME, table), site=SITE)


def test_ends_that_contradict_the_rows_are_refused(tmp_path):
    table = fluxnet_table(step=3600)
    starts = pd.to_datetime(table.TIMESTAMP_START, format="%Y%m%d%H%M")
    table["TIMESTAMP_END"] = (starts + pd.Timedelta(minutes=30)).dt.strftime("%Y%m%d%H%M")
    with pytest.raises(
        DataError, match=r"row of 2012-02-20 00:00 ends after 30 min where the rows are 60 min apart \(384 such rows\)"
    ):
        read(write_csv(tmp_path / NAME, table), site=SITE)


@pytest.mark.parametrize("stamp", ["TIMESTAMP_START", "TIMESTAMP_END"])
def test_a_stretch_of_hours_among_half_hours_is_refused(tmp_path, stamp):
    table = fluxnet_table()
    mixed = pd.concat([table[:200], table[200:300:2], table[300:]])
    other = {"TIMESTAMP_START", "TIMESTAMP_END"} - {stamp}
    with pytest.raises(
        DataError, match=r"two time steps in one file: from 2012-02-24 .* rows are 60 min apart, otherw"
    ):
        read(write_csv(tmp_path / NAME, mixed.drop(columns=list(other))), site=SITE)
    few = pd.concat([table[:200], table[200:210:2], table[210:]])
    assert "5 rows are not in the file" in read(write_csv(tmp_path / NAME, few), site=SITE).attrs["assumptions"]
