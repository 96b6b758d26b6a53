"""Real tables of towers, a season of each, and what goes wrong with such files on their way to us."""

import functools
import gzip
import lzma
import os
import re
import zlib
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from bowen.data import read, summarize_record
from bowen.errors import BowenError, ConfigError, DataError
from tests.data.test_raw_files import TABLES

DAYS, STEPS = 60, 48  # of a season, and of a day
FIRST_DAY = {  # of the season: summer, or its rain
    "FLX_BE-Vie_2014": 120,
    "AMF_US-CRT_BASE_HH_3-5": 130,
    "FR-Hes_europe-fluxdata_2016": 120,
    "US-Bi1-forcings": 10,
    "US-Bi1-forcings-test": 300,
    "US-Me2-forcings-test": 300,
    "US-Hn1-forcings": 0,
    "US-Hn1-forcings-test": 0,
}
REMEDY = re.compile(r"\n  fix: \w")
FACTORS = (0.001, 0.01, 0.1, 10.0, 100.0, 1000.0)


EVERY = int(os.environ.get("BOWEN_FUZZ_EVERY", "6"))  # of 1900 mutations; 1 makes them all


def some(mutations):
    """One in a few mutations, told apart by chance that never changes."""
    return [m for m in mutations if zlib.crc32(repr(_names(m)).encode()) % EVERY == 0]


def _names(mutation):
    return tuple(getattr(part, "__name__", part) for part in mutation)


@dataclass(frozen=True)
class Table:
    """A table as text: the lines above its header, its cells, what parts them, and how it is written."""

    name: str
    above: str
    cells: pd.DataFrame
    separator: str = ","
    end: str = "\n"
    encoding: str = "utf-8"
    below: str = ""
    packed: str = ""

    def write(self, folder):
        rows = self.cells.to_numpy()
        header = self.separator.join(self.cells.columns)
        lines = [header, *(self.separator.join(row) for row in rows)]
        text = self.above + self.end.join(lines) + self.end + self.below
        return write_bytes(folder, self, text.encode(self.encoding))


def write_bytes(folder, table, raw):
    path = folder / f"{table.name}.csv{table.packed}"
    path.write_bytes(
        {"": bytes, ".gz": gzip.compress, ".xz": functools.partial(lzma.compress, preset=0)}[table.packed](raw)
    )
    return path


@dataclass(frozen=True)
class Tower:
    """The tables of one tower, the column of each variable, and how it reads untouched."""

    tables: tuple[Table, ...]
    columns: dict[str, str]
    stamps: str
    form: str

    def write(self, folder):
        first, *_ = [table.write(folder) for table in self.tables]
        return first

    def table_of(self, column):
        return next(k for k, table in enumerate(self.tables) if column in table.cells)

    def changed(self, change, at=0):
        """The tower with one of its tables changed."""
        tables = list(self.tables)
        tables[at] = change(tables[at])
        return replace(self, tables=tuple(tables))

    def with_cells(self, change, at=0):
        """The tower with the cells of one table changed."""
        return self.changed(lambda table: replace(table, cells=change(table.cells.copy())), at)

    def texts(self, column):
        """The cells of a column."""
        return self.tables[self.table_of(column)].cells[column].to_numpy()

    def with_texts(self, column, texts):
        """The tower with other cells in a column."""
        return self.with_cells(lambda cells: cells.assign(**{column: texts}), self.table_of(column))

    def with_numbers(self, name, change):
        """The tower with the numbers of every column that may hold a variable changed, what is missing left so."""
        tower = self
        for column in alternatives(self, name):
            texts = self.texts(column)
            numbers = pd.to_numeric(texts, errors="coerce").astype(float)
            known = np.isfinite(numbers) & (numbers > -9990.0)
            written = [f"{number:.10g}" for number in change(numbers)]
            tower = tower.with_texts(column, np.where(known, written, texts))
        return tower


def alternatives(tower, name):
    """The column of a variable and, in a product that has it several times, the others."""
    stem = re.sub(r"(_F_MDS|_F|_x|_mm)?(_1_1_1)?$", "", tower.columns[name])
    like = re.compile(stem + r"(_F|_F_MDS|_x|_mm|_PI|_ERA|_RANDUNC|_CORR)?(_\d_\d_\d)?")
    return [column for table in tower.tables for column in table.cells if like.fullmatch(column)]


def load(path):
    with lzma.open(path, "rt") as file:
        above = ""
        while (line := file.readline()).startswith("#"):
            above += line
        first = FIRST_DAY[path.name.split(".")[0].replace("fluxes-nonegle", "forcings").replace("fluxes", "forcings")]
        rows = file.readlines()[first * STEPS : (first + DAYS) * STEPS]
    header = line.strip().split(",")
    cells = pd.DataFrame([row.rstrip("\n").split(",") for row in rows], columns=header)
    return Table(path.name.split(".")[0], above, cells)


@functools.cache
def tower(folder, name):
    """A season of one real table, or of the two of a tower."""
    stamps, form, _, columns = TABLES[name]
    path = folder / name
    paths = [path]
    if "forcings" in path.name:
        before, after = path.name.split("forcings")
        paths.append(min(path.parent.glob(f"{before}fluxes*{after}"), key=lambda file: len(file.name)))
    tables = tuple(load(part) for part in paths)
    known = {ours: column for ours, (column, *_) in columns.items() if any(column in t.cells for t in tables)}
    return Tower(tables, known, stamps, form)


def complaints(dataset):
    """What a summary says against a record, without its numbers."""
    told = summarize_record(dataset)
    found = {("values", sentence.split(" ")[0:2][0], sentence.split(" ")[1]) for sentence in told["doubts"]}
    found |= {("stuck", stretch["name"], stretch["start"]) for stretch in told["stuck"]}
    found |= {("water", sentence[:30]) for sentence in told["water_balance"].get("doubts", [])}
    found |= {("changes", len(told["clock_changes"]))} if told["clock_changes"] else set()
    for verdict in told["verdicts"]:
        if verdict["about"] not in ("values", "sensors") and verdict["mark"] in ("bad", "doubt"):
            found.add((verdict["about"],))
    return found


def random_of(*names):
    """The same random numbers for the same names on every machine."""
    return np.random.default_rng(zlib.crc32("/".join(map(str, names)).encode()))


def refused(path, *words, named=None):
    """Reading raises one sentence, or a few, that name the file, the culprit and what to do."""
    with pytest.raises((DataError, ConfigError)) as caught:
        read(path)
    message = str(caught.value)
    assert REMEDY.search(message), message
    assert (named or path.name.split("-forcings")[0]) in message, message
    for word in words:
        assert re.search(word, message), f"{word!r} is not in: {message}"


def doubted(path, before):
    """The file is refused, or something is said against it that was not said of the untouched one."""
    try:
        dataset = read(path)
    except BowenError as problem:
        assert REMEDY.search(str(problem)), problem
        return
    assert complaints(dataset) - before, "nothing is said against it"


def same(dataset, other, steps=slice(None)):
    """Two datasets agree at some steps of the first."""
    chosen = dataset.isel(time=steps)
    assert set(dataset.data_vars) == set(other.data_vars)
    for name in dataset.data_vars:
        theirs = other[name].sel(time=chosen.time).values
        np.testing.assert_allclose(theirs, chosen[name].values, rtol=1e-6, atol=1e-9, err_msg=str(name))
