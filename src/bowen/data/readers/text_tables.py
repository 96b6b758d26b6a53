"""Towers in text tables of any kind that `bowen.data.formats` describes."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bowen.data.canonical import FlaggedSeries, build_record
from bowen.data.checks.missing_codes import describe_missing_codes, find_missing_codes
from bowen.data.formats import Format, choose_format, count_known_columns
from bowen.data.readers.source_files import find_record_file, find_site_metadata
from bowen.data.readers.text_files import SourceFile, TableHeader, read_columns, read_header, read_units
from bowen.data.readers.time_stamps import check_stamps, is_digits_only, parse_ends, parse_stamps
from bowen.data.schema import QC, SCHEMA, find_nearest
from bowen.data.site_metadata import find_site_identifier
from bowen.data.time_axis import check_interval, find_time_step
from bowen.data.units import convert_to_si
from bowen.errors import ConfigError, DataError

TablePart = tuple[np.ndarray, dict[str, np.ndarray]]  # stamps and columns of one file

_NEEDED = ("shortwave_down", "air_temperature", "wind_speed", "precipitation")  # others can be derived
_HUMIDITY = ("vapor_pressure_deficit", "relative_humidity", "vapor_pressure")
_FILLED_PRODUCT = re.compile(r"_(F|F_MDS|CORR)$")  # names of ONEFlux's gap-filled columns, each with a column of flags
_PER_INTERVAL = {"mm": 1.0, "m": 1000.0}  # units of precipitation per interval, in kg m-2
_SCALES = {  # spellings, in lower case, of units that differ by a factor or offset
    **{"mm": "mm", "m": "m", "pa": "Pa", "hpa": "hPa", "mbar": "hPa", "kpa": "kPa", "%": "%", "k": "K"},
    **dict.fromkeys(("degc", "c", "°c", "deg c", "celsius"), "degC"),
}
_ANYWHERE = ("precipitation", "air_pressure")  # nearly the same at all places of a tower


def read_table(
    path: Path | str | SourceFile,
    partner: Path | str | None = None,
    *,
    kind: str | Path | None = None,
    site: Mapping[str, Any] | None = None,
    columns: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """Read one tower from a text table, or from two of the same kind.

    If several columns give a variable, at each step the first with a value is used; of several sensors only those at
    the place of the first, and for precipitation and pressure all. Notes in `assumptions` name them. Flags follow the
    column: 0 measured, 1-3 filled by the source, 4 reanalysis, 5 computed.

    Args:
        path: The file: plain, .xz, .gz, or the .zip of a network; the site's metadata (BIF) are searched next to it.
        partner: A second file with other columns of the same tower and step, e.g. its fluxes.
        kind: The kind of table, by name or as a TOML file; by default recognized by the columns.
        site: Metadata of the site that are missing or wrong: site, latitude, longitude, elevation, igbp,
            reference_height, canopy_height, utc_offset_hours.
        columns: For canonical names, the column to use instead of the usual ones.

    Returns:
        The canonical dataset, in SI, at the start of each interval; with targets if the file has them.

    Raises:
        ConfigError: `kind`, `site` or `columns` has an unknown name.
        DataError: The file is damaged, lacks a column, or has impossible values; see `check_record`.
    """
    source = path if isinstance(path, SourceFile) else find_record_file(Path(path))
    sources = [source, *([SourceFile(Path(partner))] if partner is not None else [])]
    headers = [read_header(each, lambda names: count_known_columns(kind, names)) for each in sources]
    present = [name for header in headers for name in header.columns]
    table = choose_format(kind, present, source.name)
    chosen = _chosen(table, present, dict(columns or {}), source)
    if table.units_lines:
        _check_units_line(table, chosen, headers)
    notes: list[str] = []
    parts = [_part(header, table, chosen, notes) for header in headers]
    stamps = parts[0][0]
    step = find_time_step(stamps, source.name)
    delivered = _joined(parts, step, headers)
    if not _first(table.time.start, headers[0]):
        stamps = stamps - np.timedelta64(step, "s")
    series, unflagged = {}, []
    for name, names in chosen.items():
        series[name] = _combine(name, names, table, delivered, step, source, notes, unflagged)
    if unflagged:
        notes.append(
            f"{', '.join(unflagged)} are gap-filled and have no flags, so all values count as filled: take the file "
            f"that has them (such as {unflagged[-1]}_QC)."
        )
    return build_record(
        series,
        stamps,
        source.path if not source.member else Path(source.name),
        found={"site": find_site_identifier(source.path, source.name), **find_site_metadata(source)},
        given=site,
        source=table.title,
        reading=notes,
    )


def _chosen(
    table: Format, present: Sequence[str], asked: dict[str, str], source: SourceFile
) -> dict[str, tuple[str, ...]]:
    """Choose the columns of each variable in this file, in order of preference."""
    if unknown := [name for name in asked if name not in SCHEMA]:
        raise ConfigError(
            "columns",
            f"no variable is called `{unknown[0]}`",
            details=find_nearest(unknown[:1], table.columns),
            fix="use a canonical name as key",
        )
    choices = {**table.columns, **{name: (column,) for name, column in asked.items()}}
    usable = {
        name: tuple(c for c in choice if table.list_sensor_columns(c, present)) for name, choice in choices.items()
    }
    missing = [name for name in dict.fromkeys((*_NEEDED, *asked)) if not usable.get(name)]
    if not any(usable.get(name) for name in _HUMIDITY):
        missing.append(_HUMIDITY[0])
    if missing:
        looked_for = [column for name in missing for column in choices.get(name, ())]
        raise DataError(
            source.name,
            f"no column for {', '.join(missing)} as in {table.title}",
            details={"looked for": ", ".join(looked_for), **find_nearest(looked_for, present)},
            fix=f'if it has another name, pass columns={{"{missing[-1]}": "<its name in this file>"}},\n'
            "       or `--format` with a TOML file on the command line; if it is in a second file, pass that",
        )
    return {name: choice for name, choice in usable.items() if choice}


def _check_units_line(table: Format, chosen: Mapping[str, tuple[str, ...]], headers: Sequence[TableHeader]) -> None:
    """Refuse a format whose units contradict the line of units in the file."""
    written = {column: (unit, header) for header in headers for column, unit in read_units(header).items()}
    for name, names in chosen.items():
        due = table.units.get(name, SCHEMA[name].units)
        for column in [column for stem in names for column in table.list_sensor_columns(stem, written)]:
            text, header = written[column]
            if (unit := _SCALES.get(text.lower())) not in (None, _SCALES.get(due.lower(), due)):
                raise DataError(
                    header.source.name,
                    f"{column} is in {unit} by the file's line of units, and in {due} by the format {table.title}",
                    details={"names of the columns": f"line {header.lines}", "units": f"line {header.lines + 1}"},
                    fix=f'write {name} = "{unit}" under [units] of the format, or correct the file',
                )


def _first(columns: tuple[str, ...], header: TableHeader) -> bool:
    return bool(columns) and set(columns) <= set(header.columns)


def _part(header: TableHeader, table: Format, chosen: Mapping[str, tuple[str, ...]], notes: list[str]) -> TablePart:
    """Read the chosen columns of one file and their flags, with its stamps."""
    names = dict.fromkeys(name for choice in chosen.values() for name in choice)
    columns = {column: name for name in names for column in table.list_sensor_columns(name, header.columns)}
    flags = {table.get_flag_column(name, column) for column, name in columns.items()} & set(header.columns)
    stamped = [c for c in (table.time.start, table.time.end) if _first(c, header)]
    if not stamped:
        due = " or ".join(" and ".join(c) for c in (table.time.start, table.time.end) if c)
        raise DataError(
            header.source.name,
            f"no column for time as in {table.title}",
            details={
                "looked for": due,
                **find_nearest([*table.time.start, *table.time.end], header.columns),
            },
            fix="rename the column of the stamps, or check which file was meant",
        )
    form, first_row = table.time.format, header.lines + table.units_lines + 1
    delivered, blank = read_columns(
        header,
        [*columns, *sorted(flags - set(columns))],
        [*dict.fromkeys(name for c in stamped for name in c)],
        table.units_lines,
        as_text=not is_digits_only(form, len(stamped[0])),
    )
    if blank:
        rows = "rows" if blank > 1 else "row"
        notes.append(f"Left out at the end of {header.source.name}: {blank} blank {rows}.")
    written = [{name: delivered[name] for name in c} for c in stamped]
    stamps = parse_stamps(written[0], form)
    check_stamps(stamps, written[0], form, header.source, first_row)
    if len(written) > 1:
        check_interval(stamps, parse_ends(stamps, written[0], written[1], form), header.source.name)
    return stamps, {name: values for name, values in delivered.items() if name not in {*sum(stamped, ())}}


def _joined(parts: list[TablePart], step: int, headers: list[TableHeader]) -> dict[str, np.ndarray]:
    """Join the columns of all files over the stamps of the first."""
    stamps, joined = parts[0]
    for (others, more), header in zip(parts[1:], headers[1:], strict=True):
        if find_time_step(others, header.source.name) != step:
            raise DataError(
                header.source.name,
                f"has another time step than {headers[0].source.name}, {step} s",
                fix="pass two files of one step",
            )
        _, here, there = np.intersect1d(stamps, others, assume_unique=True, return_indices=True)
        if not len(here):
            raise DataError(
                header.source.name,
                f"has no stamp in common with {headers[0].source.name}",
                fix="pass the two files of one tower and period",
            )
        for name in [name for name in more if name not in joined]:
            joined[name] = np.full(len(stamps), np.nan)
            joined[name][here] = more[name][there]
    return joined


def _combine(
    name: str,
    choice: tuple[str, ...],
    table: Format,
    delivered: Mapping[str, np.ndarray],
    step: int,
    source: SourceFile,
    notes: list[str],
    unflagged: list[str],
) -> FlaggedSeries:
    """Combine columns to values in SI and flags, each step from the first column with a value.

    Sentences on the reading are added to `notes`, and gap-filled columns without flags to `unflagged`.
    """
    units = table.units.get(name, SCHEMA[name].units)
    values, qc = np.array(np.nan), np.array(QC.MISSING, np.int8)
    for stem in choice:
        first, elsewhere = "", []  # the sensor that is used, and those at other places with more values
        for column in table.list_sensor_columns(stem, delivered):
            if not (blank := np.isnan(values)).any():
                break
            own = _to_si(delivered[column], name, units, step, source)
            if (codes := find_missing_codes(own, name, step)).any():
                notes += describe_missing_codes(column, delivered[column][codes])
                own = np.where(codes, np.nan, own)
            flags = _flags(stem, column, table, delivered)
            use = blank & np.isfinite(own) & (flags != QC.MISSING)
            if first and use.any():
                if name not in _ANYWHERE and table.get_place(stem, column) != table.get_place(stem, first):
                    elsewhere.append(column)
                    continue
                notes.append(f"{column} fills {use.sum()} steps without {first}.")
            elif use.any():
                first = column
                if _lacks_flags(stem, column, table, delivered):
                    unflagged.append(column)
            values, qc = np.where(use, own, values), np.where(use, flags, qc)
        if elsewhere:
            notes.append(f"Not used where {first} has no value, because they stand elsewhere: {', '.join(elsewhere)}.")
    return values, qc


def _to_si(values: np.ndarray, name: str, units: str, step: int, source: SourceFile) -> np.ndarray:
    if name == "precipitation" and units in _PER_INTERVAL:
        return values * _PER_INTERVAL[units] / step
    return convert_to_si(values, units, name, source.name)


def _lacks_flags(stem: str, column: str, table: Format, delivered: Mapping[str, np.ndarray]) -> bool:
    """Check for a gap-filled product whose flags, which its format has, are not in the file."""
    flags = table.get_flag_column(stem, column)
    fixed = "*" in table.get_flag_meanings(stem)
    return bool(_FILLED_PRODUCT.search(column) and flags) and not fixed and flags not in delivered


def _flags(stem: str, column: str, table: Format, delivered: Mapping[str, np.ndarray]) -> np.ndarray:
    """Convert the flags of a column; without flags all values count as measured, of a gap-filled product as filled."""
    meanings, flags = table.get_flag_meanings(stem), table.get_flag_column(stem, column)
    without = QC.FILLED_POOR if flags and _FILLED_PRODUCT.search(stem) else QC.MEASURED
    given = np.full(delivered[column].shape, meanings.get("*", without), dtype=np.int8)
    if "*" in meanings or flags not in delivered:
        return given
    codes = np.nan_to_num(delivered[flags], nan=QC.FILLED_POOR)
    for code in np.unique(codes):
        given[codes == code] = meanings.get(f"{code:g}", _own(code))
    return given


def _own(code: float) -> int:
    """Return a flag that needs no translation, or the worst one of a source."""
    return int(code) if code in (QC.MEASURED, QC.FILLED_GOOD, QC.FILLED_MEDIUM, QC.FILLED_POOR) else QC.FILLED_POOR
