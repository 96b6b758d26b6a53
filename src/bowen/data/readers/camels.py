"""CAMELS: daily weather over a river basin, and its streamflow."""

import io
import math
import os
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from bowen.data.canonical import FlaggedSeries, build_daily_record
from bowen.data.schema import QC, find_nearest
from bowen.errors import DataError
from bowen.files import UNREADABLE, bound_stream, check_expansion, decompress, open_file
from bowen.physics.constants import ICE_POINT

_FORCING, _FLOW = "{}_lump_cida_forcing_leap.txt", "{}_streamflow_qc.txt"
_GAUGES, _BASINS = "gauge_information.txt", "basin_physical_characteristics.txt"
_COLUMNS = ("dayl(s)", "prcp(mm/day)", "srad(W/m2)", "swe(mm)", "tmax(C)", "tmin(C)", "vp(Pa)")
_DATE = ["Year", "Mnth", "Day"]
_DAY = 86400.0  # s
_CUBIC_FOOT = 0.3048**3  # m3
_DENSITY = 1000.0  # kg m-3
_FLAGS = {"A": QC.MEASURED, "A:e": QC.ESTIMATED, "M": QC.MISSING}
_NUMBER = r"-?\d{1,9}(?:\.\d{0,9})?"
_MIN_FOREST = 0.6  # forest fraction of the basin for an IGBP forest class


class _Gauge(NamedTuple):
    name: str
    longitude: float | None
    area: float  # m2


def read_camels(path: Path | str, basin: str, *, site: Mapping[str, Any] | None = None) -> xr.Dataset:
    """Read one basin of CAMELS with its Daymet weather.

    Latitude and elevation are those of the basin, longitude is that of the gauge. A basin with at least 60 % forest
    counts as mixed forest; for any other, `site` must give the class.

    Args:
        path: The folder of CAMELS, at any level above `basin_mean_forcing`, or a .tar of it, compressed or not.
        basin: Number of the gauge, eight digits.
        site: Metadata of the basin that are missing or wrong; see `read_plumber2`.

    Returns:
        The canonical daily dataset, in SI: `shortwave_down` (mean over 24 h, from that over daylight),
        `air_temperature_min`, `air_temperature_max`, `vapor_pressure`, `precipitation`, `snow_water` (Daymet's
        estimate, if it is not zero throughout), and `runoff`, the measured streamflow per area that drains to the
        gauge. Weather is flagged as reanalysis: Daymet interpolates it between stations.

    Raises:
        ConfigError: `site` has unknown keys.
        DataError: The basin is missing, a file is damaged or has impossible values; see `check_daily_record`.

    Source:
        Newman et al. (2015), Hydrol. Earth Syst. Sci. 19, 209-223; Thornton et al. (1997), J. Hydrol. 190, 214-251.
    """
    path = Path(path)
    texts = _texts(path, basin)
    forcing = texts[_FORCING.format(basin)].splitlines()
    days, weather = _weather(forcing, f"{path.name}, {_FORCING.format(basin)}")
    notes = []
    if not weather["snow_water"].any():
        del weather["snow_water"]
        notes.append("Snow water is zero on all days, which is no estimate; it is left out.")
    latitude, elevation, area = _basin(forcing, f"{path.name}, {_FORCING.format(basin)}")
    gauge = _gauge(texts.get(_GAUGES, ""), basin) or _Gauge(basin, None, area)
    series: dict[str, FlaggedSeries] = {
        name: (values, np.full(len(days), QC.ESTIMATED if name == "snow_water" else QC.REANALYSIS))
        for name, values in weather.items()
    }
    if flow := texts.get(_FLOW.format(basin)):
        series["runoff"] = _runoff(flow, days, gauge.area, f"{path.name}, {_FLOW.format(basin)}")
    found: dict[str, Any] = {"site": basin, "latitude": latitude, "elevation": elevation}
    if gauge.longitude is not None:
        found["longitude"] = gauge.longitude
    notes.insert(0, f"{gauge.name}: {gauge.area / 1e6:.6g} km2 drain to the gauge; weather from Daymet.")
    forest = _forest(texts.get(_BASINS, ""), basin)
    if forest >= _MIN_FOREST and "igbp" not in (site or {}):
        found["igbp"] = "MF"
        notes.append(f"Mixed forest assumed, as {forest:.0%} of the basin is forest.")
    dataset = build_daily_record(series, days, path / basin, found=found, given=site, source="CAMELS", notes=notes)
    if "runoff" in dataset:
        dataset["runoff"].attrs["long_name"] = "Streamflow per area of the basin"
    return dataset


def list_basins(path: Path | str) -> list[str]:
    """List the basins with Daymet weather in CAMELS, by the number of their gauge.

    Args:
        path: The folder of CAMELS or a .tar of it; see `read_camels`.

    Raises:
        DataError: It cannot be read, or has none.
    """
    path = Path(path)
    if not (basins := _known(_searched(path, set())[1])):
        raise DataError(path.name, f"has no Daymet forcing of any basin ({_FORCING.format('*')})", fix="check the path")
    return basins


def _known(names: list[str]) -> list[str]:
    return sorted({match[1] for name in names if (match := re.fullmatch(r"(\d{8})_lump_cida_.*", name))})


def _searched(path: Path, wanted: set[str]) -> tuple[dict[str, str], list[str]]:
    """Read the wanted files, and list the names of all."""
    try:
        return _in_folder(path, wanted) if path.is_dir() else _in_archive(path, wanted)
    except FileNotFoundError as problem:
        raise DataError(str(path), "no such folder or file", fix="check the path") from problem
    except UNREADABLE as problem:
        raise DataError(path.name, f"cannot be read to its end ({problem})", fix="get it again") from problem


def _texts(path: Path, basin: str) -> dict[str, str]:
    """Read the files of a basin, by name."""
    wanted = {pattern.format(basin) for pattern in (_FORCING, _FLOW)} | {_GAUGES, _BASINS}
    found, names = _searched(path, wanted)
    if _FORCING.format(basin) not in found:
        basins = _known(names)
        nearest = find_nearest([basin], basins)
        raise DataError(
            path.name,
            f"no Daymet forcing of basin {basin} ({_FORCING.format(basin)})",
            details=nearest,
            fix="choose one of these",
        )
    return found


def _in_folder(path: Path, wanted: set[str]) -> tuple[dict[str, str], list[str]]:
    files = [file for file in path.rglob("*.txt") if file.is_file()]
    chosen = {}
    for file in files:
        if file.name in wanted:
            with open_file(file) as content:
                chosen[file.name] = content.read().decode("utf-8", errors="replace")
    return chosen, [file.name for file in files]


def _in_archive(path: Path, wanted: set[str]) -> tuple[dict[str, str], list[str]]:
    chosen, names = {}, []
    with open_file(path) as file:
        packed, unpacked = file.seek(0, os.SEEK_END), decompress(file)
        is_plain = unpacked is file
        stream = file if is_plain else bound_stream(unpacked, packed)
        with tarfile.open(fileobj=stream, mode="r:" if is_plain else "r|") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                if member.size < 0:
                    raise tarfile.ReadError(f"{name} has a size below zero")
                if not member.isreg():  # links are not followed
                    continue
                names.append(name)
                if name in wanted and (content := archive.extractfile(member)):
                    check_expansion(packed, member.size)
                    chosen[name] = content.read().decode("utf-8", errors="replace")
    return chosen, names


def _basin(lines: list[str], where: str) -> list[float]:
    """Read latitude, elevation and area of the basin from the first three lines of its forcing."""
    try:
        latitude, elevation, area = (float(line) for line in lines[:3])
        if not (math.isfinite(latitude + elevation) and 0.0 < area < math.inf):
            raise ValueError(f"they are {latitude:g}, {elevation:g} and {area:g}")
    except ValueError as problem:
        raise DataError(
            where, f"does not begin with latitude, elevation and area ({problem})", fix="get it again"
        ) from problem
    return [latitude, elevation, area]


def _weather(lines: list[str], where: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Read the days and values in SI, below three lines on the basin and a line of names."""
    header = lines[3].split() if len(lines) > 3 else []
    if missing := [name for name in (*_DATE, *_COLUMNS) if name not in header]:
        raise DataError(where, f"no column {missing[0]} in its fourth line", fix="pass the Daymet forcing of CAMELS")
    table = _table("\n".join(lines[4:]), header, where)
    numbers = {name: np.asarray(table[name], dtype=float) for name in _COLUMNS}
    weather = {
        "shortwave_down": numbers["srad(W/m2)"] * numbers["dayl(s)"] / _DAY,
        "air_temperature_min": numbers["tmin(C)"] + ICE_POINT,
        "air_temperature_max": numbers["tmax(C)"] + ICE_POINT,
        "vapor_pressure": numbers["vp(Pa)"],
        "precipitation": numbers["prcp(mm/day)"] / _DAY,
        "snow_water": numbers["swe(mm)"],
    }
    return _days(table, where), weather


def _runoff(text: str, days: np.ndarray, area: float, where: str) -> FlaggedSeries:
    table = _table(text, ["gauge", *_DATE, "flow", "flag"], where)
    if unknown := set(table["flag"]) - set(_FLAGS):
        raise DataError(
            where,
            f"unknown flag `{sorted(map(str, unknown))[0]}`",
            details={"known": ", ".join(_FLAGS)},
            fix="correct it",
        )
    flow = np.asarray(table["flow"], dtype=float)
    qc = np.where(flow < 0.0, QC.MISSING, np.asarray([_FLAGS[flag] for flag in table["flag"]]))
    values = np.where(qc == QC.MISSING, np.nan, flow * _CUBIC_FOOT * _DENSITY / area)
    frame = pd.DataFrame({"values": values, "qc": qc}, index=_days(table, where)).reindex(days)
    return frame["values"].to_numpy(), frame["qc"].fillna(QC.MISSING).to_numpy()


def _table(text: str, names: list[str], where: str) -> pd.DataFrame:
    kinds: Any = {name: str if name in ("gauge", "flag") else float for name in names}
    try:
        table = pd.read_csv(io.StringIO(text), sep=r"\s+", header=None, names=names, dtype=kinds)
        if (odd := ~np.isfinite(table.select_dtypes(float).to_numpy()).all(axis=1) | table.isna().any(axis=1)).any():
            raise ValueError(f"row {int(odd.argmax()) + 1} is cut short, or infinite")
    except (ValueError, pd.errors.ParserError) as problem:
        raise DataError(
            where, f"has a row that is not {len(names)} values ({problem})", fix="get it again"
        ) from problem
    return table


def _days(table: pd.DataFrame, where: str) -> np.ndarray:
    """Read the days, each of which is there once."""
    try:
        if (table[_DATE].to_numpy() % 1.0).any():
            raise ValueError("it is no whole number")
        parts = table[_DATE].astype(int).set_axis(["year", "month", "day"], axis=1)
        days = pd.DatetimeIndex(pd.to_datetime(parts))
        if days.has_duplicates:
            raise ValueError(f"{days[days.duplicated()][0]:%Y-%m-%d} is there twice")
    except (ValueError, ArithmeticError) as problem:
        raise DataError(where, f"has a day that cannot be read ({problem})", fix="get it again") from problem
    return days.to_numpy()


def _gauge(text: str, basin: str) -> _Gauge | None:
    """Read name, longitude and drained area of the gauge; the area of the forcing may be far off."""
    rows = (
        re.fullmatch(rf"\d+\s+(\d{{8}})\s+(.+?)\s+{_NUMBER}\s+({_NUMBER})\s+({_NUMBER})\s*", line)
        for line in text.splitlines()
    )
    row = next((row for row in rows if row and row[1] == basin and float(row[4]) > 0.0), None)
    return row and _Gauge(row[2], float(row[3]), float(row[4]) * 1e6)


def _forest(text: str, basin: str) -> float:
    rows = [line.split() for line in text.splitlines()]
    found = [row[5] for row in rows if len(row) == 6 and row[1] == basin and re.fullmatch(_NUMBER, row[5])]
    return float(found[0]) if found else 0.0
