"""FLUXNET FULLSET or SUBSET, half-hourly or hourly: one CSV with -9999 for what is missing, plain or compressed."""

import contextlib
import csv
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pandas as pd
import xarray as xr

from bowen.data.axis import step_of
from bowen.data.record import Series, build
from bowen.data.schema import QC, SCHEMA, nearest
from bowen.data.site import site_of
from bowen.data.units import to_si
from bowen.errors import ConfigError, DataError

_UNITS = {
    "air_temperature": "degC",
    "vapor_pressure_deficit": "hPa",
    "air_pressure": "kPa",
    "relative_humidity": "%",
}  # where FLUXNET's unit is not ours; precipitation, in mm per interval, needs the step
_COLUMNS = {name: variable.fluxnet for name, variable in SCHEMA.items() if variable.fluxnet}
_NEEDED = ("shortwave_down", "air_temperature", "wind_speed", "precipitation")  # the rest can be derived
_STAMPS = ("TIMESTAMP_START", "TIMESTAMP_END")
_FLAG_COLUMNS = {"LE_CORR": "LE_F_MDS_QC", "H_CORR": "H_F_MDS_QC"}  # a correction is as good as what it corrects
_MISSING = -9990.0  # and below; files write -9999 with more or fewer digits
_DOWNSCALED = 2  # from a reanalysis, in the flags of the columns that end in _F


def read_fluxnet(
    path: Path | str, *, site: Mapping[str, Any] | None = None, columns: Mapping[str, str] | None = None
) -> xr.Dataset:
    """Read one tower from a FLUXNET2015-like FULLSET or SUBSET file.

    Of the columns that hold a variable, at each step the first with a value is used: the network's gap-free
    product first, then its parts. Flags follow the column: 0 measured, 1-3 filled by the source, 4 reanalysis,
    5 computed.

    Args:
        path: The file: plain, .xz, .gz, or the .zip of the network.
        site: Metadata of the site that are missing or wrong: site, latitude, longitude, elevation, igbp,
            reference_height, canopy_height, utc_offset_hours.
        columns: For canonical names, the column to use instead of the usual ones.

    Returns:
        The canonical dataset, in SI, at the start of each interval; targets only where the file has them.

    Raises:
        ConfigError: `site` or `columns` have unknown keys.
        DataError: The file is damaged, lacks a column, or holds what cannot be right; see `check`.
    """
    path = Path(path)
    header = _header(path)
    usable = _usable(header, dict(columns or {}), path)
    stamped = next(stamp for stamp in _STAMPS if stamp in header)
    used = {column for choice in usable.values() for column in choice}
    frame = _frame(path, {*used, *map(_flag_column, used)}, header[-1], stamped)
    stamps = _stamps(np.asarray(frame[stamped], dtype=object), stamped, path)
    step = step_of(stamps, path.name)
    if stamped == "TIMESTAMP_END":
        stamps = stamps - np.timedelta64(step, "s")
    table = {column: _numbers(frame, column, path) for column in map(str, frame.columns) if column != stamped}
    series = {name: _first_valid(name, choice, table, step, path) for name, choice in usable.items()}
    return build(
        series,
        stamps,
        path,
        found={"site": site_of(path)},
        given=site,
        source="FLUXNET2015 FULLSET",
    )


def _usable(header: list[str], chosen: dict[str, str], path: Path) -> dict[str, tuple[str, ...]]:
    """The columns of this file for each variable, in order of preference."""
    if unknown := [name for name in chosen if name not in SCHEMA]:
        raise ConfigError(f"columns: no variable is called `{unknown[0]}`. {nearest(unknown[:1], _COLUMNS)}")
    choices = {**_COLUMNS, **{name: (column,) for name, column in chosen.items()}}
    usable = {name: tuple(c for c in choice if c in header) for name, choice in choices.items()}
    missing = [name for name in (*_NEEDED, *chosen) if not usable[name]]
    if not usable["vapor_pressure_deficit"] and not usable["relative_humidity"]:
        missing.append("vapor_pressure_deficit")
    if not usable["longwave_down"] and not usable["net_radiation"]:
        missing.append("longwave_down")
    looked_for = [column for name in missing for column in choices[name]]
    if not any(stamp in header for stamp in _STAMPS):
        missing, looked_for = ["time", *missing], [*_STAMPS, *looked_for]
    if missing:
        raise DataError(
            f"{path.name}: no column for {', '.join(missing)}.\n"
            f"  looked for: {', '.join(looked_for)}\n"
            f"  {nearest(looked_for, header)}\n"
            "  to go on:   this reader takes the half-hourly or hourly FULLSET file; where a column has another name, "
            f'pass columns={{"{missing[-1]}": "<its name in this file>"}}'
        )
    return {name: choice for name, choice in usable.items() if choice}


def _first_valid(name: str, choice: tuple[str, ...], table: dict[str, np.ndarray], step: int, path: Path) -> Series:
    """Values in SI and flags, each step from the first column that has a value there."""
    values = np.full(len(table[choice[0]]), np.nan)
    qc = np.full(values.shape, QC.MISSING, dtype=np.int8)
    for column in choice:
        use = np.isnan(values) & np.isfinite(table[column])
        values, qc = np.where(use, table[column], values), np.where(use, _flags(column, table), qc)
    if name == "precipitation":
        return values / step, qc
    return to_si(values, _UNITS.get(name, SCHEMA[name].units), name, path.name), qc


def _flags(column: str, table: dict[str, np.ndarray]) -> np.ndarray:
    """Our flags for a column: the codes of `_F_MDS` columns are ours, those of the merged `_F` columns are not."""
    as_delivered = np.full(len(table[column]), float(QC.MEASURED))
    given = np.nan_to_num(table.get(_flag_column(column), as_delivered), nan=QC.FILLED_POOR)
    if column.startswith("LW_IN_JSB"):
        given = np.full(len(given), QC.ESTIMATED)
    elif column.endswith("_F"):
        given = np.where(given == _DOWNSCALED, QC.REANALYSIS, given)
    return given.astype(np.int8)


def _flag_column(column: str) -> str:
    return _FLAG_COLUMNS.get(column, f"{column}_QC")


def _stamps(texts: np.ndarray, column: str, path: Path) -> np.ndarray:
    parsed = pd.to_datetime(texts, format="%Y%m%d%H%M", errors="coerce")
    if (wrong := np.asarray(parsed.isna())).any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"{path.name}: row {row + 2} has the {column} `{texts[row]}`, which is no stamp like 201401010030. "
            "Correct it; if it is the last row, the file was cut: get it again."
        )
    return parsed.to_numpy().astype("datetime64[s]")


def _header(path: Path) -> list[str]:
    with _reading(path) as handle:
        first = handle.readline().decode("utf-8-sig")
    header = next(csv.reader([first.strip()]), [])
    if len(header) < 2:
        raise DataError(f"{path.name}: is empty or no CSV; its first line has to name the columns.")
    return header


def _frame(path: Path, used: set[str], last: str, stamped: str) -> pd.DataFrame:
    """The used columns and the stamps, the latter as text, once it is sure that `last`, the last column, is whole."""
    wanted = {*used, last, stamped}
    with _reading(path) as handle:
        frame = pd.read_csv(handle, usecols=lambda name: name in wanted, dtype={stamped: str}, low_memory=False)
    if frame.empty:
        raise DataError(f"{path.name}: holds a header and no rows. Get the file again.")
    ends = np.asarray(frame[last].isna())  # FLUXNET writes -9999 and never nothing, so a blank end is a row cut short
    if ends[-1] and not ends[:-1].any():
        raise DataError(f"{path.name}: was cut in the middle of its last row, {len(frame) + 1}. Get the file again.")
    return frame if last in used else frame.drop(columns=last)


def _numbers(frame: pd.DataFrame, column: str, path: Path) -> np.ndarray:
    """A column as numbers, with NaN for what is missing."""
    numbers = np.asarray(pd.to_numeric(frame[column], errors="coerce"), dtype=float)
    if (odd := np.isnan(numbers) & ~np.asarray(pd.isna(frame[column]))).any():
        row = int(np.argmax(odd))
        raise DataError(
            f"{path.name}: row {row + 2} has `{frame[column].iloc[row]}` in the column {column}, where a number is due "
            "(-9999 for none). Correct it."
        )
    return np.where(numbers > _MISSING, numbers, np.nan)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked; whatever a damaged file makes the libraries raise becomes one sentence."""
    try:
        with path.open("rb") as raw, _unpacked(raw, path) as handle:
            yield handle
    except FileNotFoundError as problem:
        raise DataError(f"{path}: no such file. Check the path.") from problem
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error, zipfile.BadZipFile) as problem:
        raise DataError(
            f"{path.name}: cannot be read to its end ({problem}). It is damaged, cut or no FLUXNET CSV: get it again."
        ) from problem


def _unpacked(raw: IO[bytes], path: Path) -> IO[bytes]:
    magic = raw.read(6)
    raw.seek(0)
    if magic.startswith(b"PK"):
        archive = zipfile.ZipFile(raw)
        return archive.open(_member(archive.namelist(), path))
    if magic.startswith(b"\xfd7zXZ"):
        return lzma.open(raw)
    return cast(IO[bytes], gzip.open(raw)) if magic.startswith(b"\x1f\x8b") else raw


def _member(names: list[str], path: Path) -> str:
    """The half-hourly or hourly file among the many resolutions of the network's archive."""
    tables = [name for name in names if name.lower().endswith(".csv")]
    fitting = [name for name in tables if "SET_HH_" in name or "SET_HR_" in name] or tables
    if len(fitting) != 1:
        raise DataError(
            f"{path.name}: holds {len(fitting)} files that might be meant ({', '.join(fitting) or 'no .csv'}). "
            "Unpack the half-hourly or hourly FULLSET file and pass that."
        )
    return fitting[0]
