"""What the networks' BADM Interchange Format (BIF) tells of a site: one row for each variable of each group."""

import importlib
import re
import zipfile
from typing import Any

import pandas as pd

from bowen.data.readers.csv import Source, opened
from bowen.errors import DataError

COLUMNS = ("SITE_ID", "GROUP_ID", "VARIABLE", "DATAVALUE")
_NUMBERS = {
    "latitude": "LOCATION_LAT",
    "longitude": "LOCATION_LONG",
    "elevation": "LOCATION_ELEV",
    "utc_offset_hours": "UTC_OFFSET",
    "canopy_height": "HEIGHTC",
}
_HEIGHT_OF = re.compile(r"^(WS|LE|H)(_\d+)*$")  # the instruments whose height is the reference height


def read_bif(source: Source, site: str) -> dict[str, Any]:
    """The metadata of one site.

    Args:
        source: A BIF file as CSV, or as XLSX where openpyxl is installed.
        site: The identifier, e.g. `US-CRT`; the file may hold many sites.

    Returns:
        What it says of latitude, longitude, elevation [m], utc_offset_hours [h], igbp, canopy_height and
        reference_height [m]; where a value was reported more than once, the last one, of heights the largest.

    Raises:
        DataError: The file cannot be read, or is none.
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


def _table(source: Source) -> pd.DataFrame:
    if source.name.lower().endswith(".xlsx"):
        table = _sheet(source)
    else:
        with opened(source) as handle:  # its free texts have line breaks and blanks, which in a record would be damage
            table = pd.read_csv(handle, usecols=lambda name: name in COLUMNS, dtype=str, encoding_errors="replace")
    if missing := [name for name in COLUMNS if name not in table]:
        raise DataError(f"{source.name}: is no BIF file: it has no column {missing[0]}. Leave it out, or get it again.")
    return table.dropna(subset=list(COLUMNS)).astype(str)


def _sheet(source: Source) -> pd.DataFrame:
    try:
        importlib.import_module("openpyxl")  # pandas would say less about what is missing
    except ImportError as problem:
        raise DataError(
            f"{source.name}: to read a BIF file in XLSX, install openpyxl, or save it as CSV beside the data."
        ) from problem
    if not source.member:
        return pd.read_excel(source.path, dtype=str)
    with zipfile.ZipFile(source.path) as archive, archive.open(source.member) as sheet:
        return pd.read_excel(sheet, dtype=str)


def _instrument(group: pd.DataFrame) -> float | None:
    """The height of the wind or flux instrument that a group of rows describes."""
    said = dict(zip(group.VARIABLE, group.DATAVALUE, strict=True))
    name = said.get("VAR_INFO_VARNAME", "").strip()
    return _number(said.get("VAR_INFO_HEIGHT", "")) if _HEIGHT_OF.match(name) else None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number > -9990.0 else None
