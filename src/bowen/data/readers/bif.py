"""Site metadata in the networks' BADM Interchange Format (BIF): one row for each variable of each group."""

import contextlib
import importlib
import io
import re
from typing import IO, Any

import pandas as pd

from bowen.data.readers.text_files import SourceFile, open_unpacked
from bowen.errors import DataError
from bowen.files import UNREADABLE, open_file, open_zip

BIF_COLUMNS = ("SITE_ID", "GROUP_ID", "VARIABLE", "DATAVALUE")
_NUMBERS = {
    "latitude": "LOCATION_LAT",
    "longitude": "LOCATION_LONG",
    "elevation": "LOCATION_ELEV",
    "utc_offset_hours": "UTC_OFFSET",
    "canopy_height": "HEIGHTC",
}
_HEIGHT_OF = re.compile(r"^(WS|LE|H)(_\d+)*$")  # instruments at the reference height


def read_bif(source: SourceFile, site: str) -> dict[str, Any]:
    """Read the metadata of one site.

    Args:
        source: A BIF file as CSV, or as XLSX if openpyxl is installed.
        site: The identifier, e.g. `US-CRT`; the file may have many sites.

    Returns:
        Any of latitude, longitude, elevation [m], utc_offset_hours [h], igbp, canopy_height and reference_height [m];
        of several reported values the last one, of heights the largest.

    Raises:
        DataError: The file cannot be read, or is no BIF file.
    """
    table = _table(source)
    table = table.loc[table.SITE_ID.str.strip() == site]
    said = {str(variable): list(rows.DATAVALUE) for variable, rows in table.groupby("VARIABLE")}
    found: dict[str, Any] = {}
    for key, variable in _NUMBERS.items():
        numbers = [number for text in said.get(variable, ()) if (number := _number(text)) is not None]
        if numbers:
            found[key] = max(numbers) if variable.startswith("HEIGHT") else numbers[-1]
    if classes := said.get("IGBP"):
        found["igbp"] = classes[-1].strip().upper()
    heights = [height for _, group in table.groupby("GROUP_ID") if (height := _instrument(group)) is not None]
    if heights:
        found["reference_height"] = max(heights)
    return found


def _table(source: SourceFile) -> pd.DataFrame:
    if source.name.lower().endswith(".xlsx"):
        table = _sheet(source)
    else:
        with open_unpacked(source) as handle:  # free text may have line breaks and blanks
            table = pd.read_csv(handle, usecols=lambda name: name in BIF_COLUMNS, dtype=str, encoding_errors="replace")
    if missing := [name for name in BIF_COLUMNS if name not in table]:
        raise DataError(source.name, f"is no BIF file: it has no column {missing[0]}", fix="remove it, or get it again")
    return table.dropna(subset=list(BIF_COLUMNS)).astype(str)


def _sheet(source: SourceFile) -> pd.DataFrame:
    try:
        importlib.import_module("openpyxl")  # for a clearer error than that of pandas
    except ImportError as problem:
        raise DataError(
            source.name,
            "a BIF file in XLSX requires openpyxl, which is not installed",
            fix="install openpyxl, or save the file as CSV next to the data",
        ) from problem
    try:
        with contextlib.ExitStack() as opened:
            file: IO[bytes] = opened.enter_context(open_file(source.path))
            if source.member:
                file = io.BytesIO(opened.enter_context(open_zip(file)).read(source.member))
            opened.enter_context(open_zip(file))  # as a sheet is one too, and its size is checked so
            return pd.read_excel(file, dtype=str)
    except UNREADABLE as problem:
        raise DataError(source.name, f"is damaged and cannot be read ({problem})", fix="get it again") from problem


def _instrument(group: pd.DataFrame) -> float | None:
    """Return the height of the wind or flux instrument in a group of rows."""
    said = dict(zip(group.VARIABLE, group.DATAVALUE, strict=True))
    name = said.get("VAR_INFO_VARNAME", "").strip()
    return _number(said.get("VAR_INFO_HEIGHT", "")) if _HEIGHT_OF.match(name) else None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number > -9990.0 else None
