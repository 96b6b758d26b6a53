"""Inputs made to harm or to confuse: each writes into a folder, and names the command that is to read it."""

import bz2
import gzip
import io
import itertools
import json
import lzma
import os
import socket
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from bowen.files import checksum
from tests.data.files import BASIN, SITE, camels_folder, fluxnet_table, plumber2_files, write_csv, write_nc

Command = list[object]
HOSTILE: dict[str, Callable[[Path], Command]] = {}
HARMLESS: set[str] = set()  # that may be read, as nothing in them is wrong but for a name
ZEROS = bytes(1 << 20)
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"
NOT_READ = "outside/secret.txt"  # beside the folder, to be neither read nor written


def hostile(name: str, *, is_harmless: bool = False) -> Callable[[Callable[[Path], Command]], Callable]:
    """Add an input under a name."""

    def add(write: Callable[[Path], Command]) -> Callable[[Path], Command]:
        assert name not in HOSTILE
        HOSTILE[name] = write
        if is_harmless:
            HARMLESS.add(name)
        return write

    return add


def file(name: str, path: str, content: Callable[[], bytes], *command: object) -> None:
    """Add a file of bytes; the command ends with its path."""

    def write(folder: Path) -> Command:
        (folder / path).write_bytes(content())
        return [*command, path]

    hostile(name)(write)


def megabytes(opener: Callable, count: int) -> bytes:
    """So many megabytes of zeros, compressed."""
    packed = io.BytesIO()
    with opener(packed, "wb") as stream:
        for _ in range(count):
            stream.write(ZEROS)
    return packed.getvalue()


# Text tables

TABLE = fluxnet_table(4).to_csv(index=False).encode()
HEADER, _, ROWS = TABLE.partition(b"\n")
PACKERS = {"gz": gzip.open, "xz": lzma.open, "bz2": bz2.open}


def bomb(opener: Callable, begin: bytes, more: bytes, count: int) -> Callable[[], bytes]:
    """A header, and then the same bytes again and again."""

    def pack() -> bytes:
        packed = io.BytesIO()
        with opener(packed, "wb") as stream:
            stream.write(begin)
            for _ in range(count):
                stream.write(more)
        return packed.getvalue()

    return pack


for kind, opener in PACKERS.items():
    file(f"csv.{kind} of one line of zeros", f"x.csv.{kind}", bomb(opener, b"", ZEROS, 300), "inspect")
    rows = ROWS[:900].rpartition(b"\n")[0] + b"\n"
    file(f"csv.{kind} of rows", f"x.csv.{kind}", bomb(opener, HEADER + b"\n", rows * 1000, 300), "inspect")
    file(f"csv.{kind} of empty lines", f"x.csv.{kind}", bomb(opener, b"", b"\n" * (1 << 20), 200), "inspect")
    file(f"csv.{kind} cut", f"x.csv.{kind}", lambda o=opener: bomb(o, b"", TABLE, 1)()[:-40], "inspect")
TEXTS = {
    "one line without an end": b"a" * (8 << 20),
    "a row without an end": TABLE + b"1" * (8 << 20),
    "a header of many equal names": b"a," * 200_000 + b"a\n1\n",
    "a header of many names": ",".join(f"a{i}" for i in range(100_000)).encode() + b"\n1\n",
    "no byte but zero": ZEROS,
    "a header with escapes": TABLE.replace(b"TA_F,", f"{ESCAPES},".encode(), 1),
    "a cell with escapes": HEADER + b"\n" + ROWS.replace(b"8.", ESCAPES.encode(), 1),
    "numbers beyond all": HEADER + b"\n" + ROWS.replace(b"0.0", b"1e999999999", 40),
    "a long number": HEADER + b"\n" + ROWS.replace(b"0.0", b"9" * 100_000, 1),
    "stamps beyond all": HEADER + b"\n" + ROWS.replace(b"2012", b"999999999999", 1),
    "a quote without an end": HEADER + b'\n"' + ROWS,
    "halves of UTF-16": b"\xff\xfe" + b"\x00\xd8" * 5000,
    "UTF-16 cut": "a,b\n1,2".encode("utf-16")[:-1],
    "a gzip in name alone": b"\x1f\x8b" + ZEROS[:1000],
    "an xz in name alone": b"\xfd7zXZ\x00" + ZEROS[:1000],
    "carriage returns": b"a,b\r" * 400_000,
}
for name, content in TEXTS.items():
    file(f"csv: {name}", "x.csv", lambda c=content: c, "inspect")


def in_zip(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def patched(raw: bytes, local: int, central: int, form: str, value: int) -> bytes:
    """A ZIP archive of one member with a number in its two headers changed."""
    changed = bytearray(raw)
    struct.pack_into(form, changed, local, value)
    struct.pack_into(form, changed, raw.index(b"PK\x01\x02") + central, value)
    return bytes(changed)


FULLSET = "FLX_XX-Syn_FULLSET_HH.csv"
ONE = in_zip({FULLSET: TABLE})
ZIPS = {
    "encrypted": lambda: patched(ONE, 6, 8, "<H", 1),
    "of an unknown method": lambda: patched(ONE, 8, 10, "<H", 99),
    "of an unknown version": lambda: patched(ONE, 4, 6, "<H", 999),
    "with a wrong size": lambda: patched(ONE, 22, 24, "<I", 5),
    "that claims 4 GB": lambda: patched(ONE, 22, 24, "<I", 0xFFFFFFF0),
    "with a wrong checksum": lambda: patched(ONE, 14, 16, "<I", 7),
    "that expands": lambda: in_zip({FULLSET: ZEROS * 300}),
    "of a gzip that expands": lambda: in_zip({FULLSET + ".gz": megabytes(gzip.open, 300)}),
    "of many empty members": lambda: in_zip({f"{i}.csv": b"" for i in range(20_000)}),
    "cut": lambda: ONE[:-30],
    "without a directory": lambda: ONE[: ONE.index(b"PK\x01\x02")],
    "with a directory elsewhere": lambda: ONE[:-6] + b"\xff\xff\xff\x7f" + ONE[-2:],
    "of bytes": lambda: b"PK\x03\x04" + bytes(range(256)) * 20,
    "of a member that is a path": lambda: in_zip({"../../outside/FULLSET_HH.csv": b"a,b\n1,2\n"}),
    "of a member with escapes": lambda: in_zip({f"{ESCAPES}_FULLSET_HH.csv": b"a,b\n1,2\n"}),
    "of two members of one name": lambda: in_zip({"a_FULLSET_HH.csv": b"a,b\n", "b/a_FULLSET_HH.csv": b"a\n"}),
    "of NetCDF": lambda: in_zip({"x_Met.nc": b"CDF\x01"}),
    "with metadata that expand": lambda: in_zip({FULLSET: TABLE, "FLX_XX-Syn_BIF_HH.csv": ZEROS * 300}),
    "with metadata that are no table": lambda: in_zip({FULLSET: TABLE, "FLX_XX-Syn_BIF_HH.csv": b'"' + ZEROS[:99]}),
    "with a sheet that is none": lambda: in_zip({FULLSET: TABLE, "FLX_XX-Syn_BIF_HH.xlsx": b"PK\x03\x04"}),
}
for name, content in ZIPS.items():
    file(f"zip {name}", "x.zip", content, "inspect")


# Special files, for each command that takes a path


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


READERS: dict[str, Command] = {
    "record": ["inspect"],
    "configuration": ["train", "--out", "out"],
    "run": ["evaluate"],
    "basins": ["archive", "out", "--basins"],
    "sites": ["sites", "--add"],
}
SPECIAL = {
    "a pipe": lambda path: os.mkfifo(path),
    "a link to zeros without end": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a socket": lambda path: make_socket(path),
}
for (reader, command), (what, make) in itertools.product(READERS.items(), SPECIAL.items()):

    @hostile(f"{reader}: {what}")
    def special(folder: Path, command: Command = command, make: Callable = make) -> Command:
        before = Path.cwd()
        os.chdir(folder)  # the name of a socket is short
        make(Path("x.csv"))
        os.chdir(before)
        return [*command, "x.csv"]


@hostile("a folder of pipes")
def folder_of_pipes(folder: Path) -> Command:
    (folder / "tower").mkdir()
    os.mkfifo(folder / "tower" / FULLSET)
    return ["inspect", "tower"]


@hostile("a folder in a circle")
def circle(folder: Path) -> Command:
    (folder / "tower").mkdir()
    (folder / "tower" / "again").symlink_to(folder / "tower")
    return ["inspect", "tower"]


@hostile("site metadata from a pipe")
def site_pipe(folder: Path) -> Command:
    write_csv(folder / "XX-Syn.csv", fluxnet_table(4))
    os.mkfifo(folder / "site.toml")
    return ["inspect", "XX-Syn.csv", "--site", "site.toml"]


# NetCDF

MET, FLUX = plumber2_files(4)


def netcdf3(changes: dict[str, object], *, is_harmless: bool = False, name: str = "") -> None:
    @hostile(f"NetCDF 3 with {name or changes}", is_harmless=is_harmless)
    def write(folder: Path) -> Command:
        write_nc(folder / "x_Met.nc", MET.assign_attrs(changes))
        return ["inspect", "x_Met.nc"]


netcdf3({"site_code": "../../outside/x"}, is_harmless=True, name="a path for a site")
netcdf3({"site_code": ESCAPES}, is_harmless=True, name="escapes for a site")
netcdf3({"site_code": "x" * 100_000}, is_harmless=True, name="a long site")
CLASSIC = b"CDF\x01" + struct.pack(">i", 0)  # no records
DIMENSION = struct.pack(">iii", 10, 1, 1) + b"t\0\0\0"  # a list of one, of a name of one letter
VARIABLE = struct.pack(">iii", 11, 1, 1) + b"v\0\0\0" + struct.pack(">iiii", 1, 0, 0, 0) + struct.pack(">ii", 6, 8)
for size in (0, 1, 10_000, 0x7FFFFFFF, -1):
    body = CLASSIC + DIMENSION + struct.pack(">i", size) + struct.pack(">ii", 0, 0) + VARIABLE
    file(f"NetCDF 3 of {size} values", "x.nc", lambda b=body: b + struct.pack(">i", 80), "inspect")
for count in (1, 1000, 0x7FFFFFFF, -1):
    records = b"CDF\x01" + struct.pack(">i", count) + DIMENSION + struct.pack(">i", 0) + struct.pack(">ii", 0, 0)
    file(f"NetCDF 3 of {count} records", "x.nc", lambda b=records: b + VARIABLE + struct.pack(">i", 80), "inspect")
for count in (1, 0x7FFFFFFF):
    text = CLASSIC + struct.pack(">ii", 0, 0) + struct.pack(">iii", 12, 1, count) + b"abc"
    file(f"NetCDF 3 with a name of {count} letters", "x.nc", lambda b=text: b, "inspect")
    many = CLASSIC + struct.pack(">ii", 10, count)
    file(f"NetCDF 3 with {count} dimensions", "x.nc", lambda b=many: b, "inspect")
for start in (b"CDF\x02", b"CDF\x05", b"\x89HDF\r\n\x1a\n"):
    file(f"NetCDF of zeros after {start[:4]!r}", "x.nc", lambda s=start: s + ZEROS, "inspect")


def hdf5(name: str, *, is_harmless: bool = False, base: bool = True) -> Callable:
    """Add a record in HDF5, after something was done to it."""

    def add(change: Callable[[h5py.File, Path], None]) -> Callable:
        @hostile(f"HDF5 {name}", is_harmless=is_harmless)
        def write(folder: Path) -> Command:
            path = folder / "x_Met.nc"
            if base:
                write_nc(path, MET.squeeze(drop=True), engine="h5netcdf")
            with h5py.File(path, "a") as file:
                change(file, folder)
            return ["inspect", path.name]

        return change

    return add


@hdf5("with a link to another file")
def external_link(file: h5py.File, folder: Path) -> None:
    with h5py.File(folder / "other.nc", "w") as other:
        other["Tair"] = np.arange(192.0)
    del file["Tair"]
    file["Tair"] = h5py.ExternalLink("other.nc", "/Tair")


@hdf5("with values in another file")
def external_storage(file: h5py.File, folder: Path) -> None:
    size = file["Tair"].shape[0]
    del file["Tair"]
    file.create_dataset("Tair", (size,), "f8", external=[(str(folder.parent / NOT_READ), 0, h5py.h5f.UNLIMITED)])


@hdf5("with values to be written to another file")
def external_absent(file: h5py.File, folder: Path) -> None:
    file.create_dataset("Odd", (5,), "f8", external=[("../outside/new.bin", 0, 40)])


@hdf5("of parts in other files")
def virtual(file: h5py.File, folder: Path) -> None:
    layout = h5py.VirtualLayout((192,), "f8")
    layout[:] = h5py.VirtualSource(str(folder.parent / NOT_READ), "Tair", (192,))
    file.create_virtual_dataset("Odd", layout)


for exponent in (9, 12, 15, 18):

    @hdf5(f"with 1e{exponent} values that were not written")
    def declared(file: h5py.File, folder: Path, exponent: int = exponent) -> None:
        file.create_dataset("Odd", (10**exponent,), "f4", chunks=(1 << 20,), compression="gzip")


@hdf5("that expands")
def expands(file: h5py.File, folder: Path) -> None:
    file.create_dataset("Odd", data=np.zeros(50_000_000, "i1"), chunks=(1 << 24,), compression="gzip")


@hdf5("of many variables that expand")
def many_expand(file: h5py.File, folder: Path) -> None:
    for number in range(100):
        file.create_dataset(f"Odd{number}", (1 << 20,), "f8", chunks=(1 << 18,), compression="gzip")


@hdf5("with a filter that nobody has")
def odd_filter(file: h5py.File, folder: Path) -> None:
    odd = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    odd.set_chunk((8,))
    odd.set_filter(32001, h5py.h5z.FLAG_OPTIONAL)
    h5py.h5d.create(file.id, b"Odd", h5py.h5t.NATIVE_DOUBLE, h5py.h5s.create_simple((8,)), odd)


@hdf5("with a group in itself", is_harmless=True)
def group_circle(file: h5py.File, folder: Path) -> None:
    file.create_group("a")["again"] = file["/"]
    file["b"] = h5py.SoftLink("/b")


@hdf5("with a path for a site", is_harmless=True)
def site_path(file: h5py.File, folder: Path) -> None:
    file.attrs["site_code"] = "../../outside/x"


@hdf5("with escapes in a unit")
def escaped_unit(file: h5py.File, folder: Path) -> None:
    file["Tair"].attrs["units"] = ESCAPES


@hdf5("with nothing in it", base=False)
def empty(file: h5py.File, folder: Path) -> None:
    pass


@hdf5("with time in moons")
def moons(file: h5py.File, folder: Path) -> None:
    file["time"].attrs["units"] = "moons since the flood"


@hdf5("with time beyond all")
def far(file: h5py.File, folder: Path) -> None:
    file["time"][...] = 2**62


# Archives of river basins


def in_tar(*members: tuple[str, bytes, dict[str, object]], packed: str = "") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{packed}") as archive:
        for name, content, fields in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for field, value in fields.items():
                setattr(info, field, value)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


FORCING = f"{BASIN}_lump_cida_forcing_leap.txt"


def lie(raw: bytes, size: bytes) -> bytes:
    """A tar of one member whose header claims another size."""
    header = bytearray(raw[:512])
    header[124:136] = size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + raw[512:]


TARS = {
    "of a link within": lambda: in_tar((FORCING, b"", {"type": tarfile.SYMTYPE, "linkname": "nowhere"})),
    "of a link to itself": lambda: in_tar((FORCING, b"", {"type": tarfile.SYMTYPE, "linkname": FORCING})),
    "of a hard link to itself": lambda: in_tar((FORCING, b"", {"type": tarfile.LNKTYPE, "linkname": FORCING})),
    "of a link outside": lambda: in_tar((FORCING, b"", {"type": tarfile.SYMTYPE, "linkname": f"../{NOT_READ}"})),
    "of a device": lambda: in_tar((FORCING, b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5})),
    "of a pipe": lambda: in_tar((FORCING, b"", {"type": tarfile.FIFOTYPE})),
    "of a path outside": lambda: in_tar((f"../../outside/{FORCING}", b"x", {})),
    "of escapes": lambda: in_tar((f"{ESCAPES}/{FORCING}", ESCAPES.encode(), {})),
    "with a size below zero": lambda: lie(in_tar((FORCING, b"x", {})), b"\xff" * 11 + b"\x00"),
    "that claims 8 GB": lambda: lie(in_tar((FORCING, b"x", {})), b"77777777777\0"),
    "that claims all": lambda: lie(in_tar((FORCING, b"x", {})), b"\x80" + b"\x7f" * 11),
    "of a long header": lambda: lie(in_tar((FORCING, b"x", {"type": tarfile.XHDTYPE})), b"77777777777\0"),
    "that expands": lambda: in_tar((FORCING, ZEROS * 300, {}), packed="gz"),
    "that expands by bzip2": lambda: in_tar((FORCING, ZEROS * 300, {}), packed="bz2"),
    "that expands by xz": lambda: in_tar(("other", ZEROS * 300, {}), (FORCING, b"x", {}), packed="xz"),
    "of many members": lambda: in_tar(*((f"{k}", b"", {}) for k in range(20_000)), packed="gz"),
    "cut": lambda: in_tar((FORCING, b"1\n2\n3\n" * 500, {}))[:1500],
    "of zeros": lambda: ZEROS,
}
for name, content in TARS.items():
    file(f"tar {name}", "x.tar", content, "archive", "out", "--basins")

# Odd numbers in the tables of a basin: a text of the file, what takes its place
BASIN_TEXTS = {
    "a latitude that is none": ("46.84", "nan"),
    "a latitude of a word": ("46.84", "north"),
    "an area of zero": ("2260093113", "0"),
    "an area without end": ("2260093113", "inf"),
    "an area below zero": ("2260093113", "-5"),
    "a month 13": ("1980 02 28", "1980 13 28"),
    "a year 0": ("1980 02 28", "0000 02 28"),
    "a year 99999": ("1980 02 28", "99999 02 28"),
    "a year without end": ("1980 02 28", "inf 02 28"),
    "a day twice": ("1980 02 28", "1980 02 27"),
    "half a day": ("1980 02 28", "1980 02 28.5"),
    "a pressure without end": ("350.00", "1e999"),
    "a pressure of a word": ("350.00", ESCAPES),
    "no pressure": ("350.00", ""),
    "two lines": ("2260093113", ""),
    "an unknown column": ("vp(Pa)", "vp"),
}
for name, (old, new) in BASIN_TEXTS.items():

    @hostile(f"basin with {name}")
    def basin(folder: Path, old: str = old, new: str = new) -> Command:
        camels_folder(folder)
        for path in folder.rglob("*forcing_leap.txt"):
            path.write_text(path.read_text().replace(old, new))
        return ["archive", "out", "--basins", "reduced_camels"]


# Settings

DEEP = {
    "arrays": "x = " + "[" * 100_000,
    "closed arrays": "x = " + "[" * 300 + "]" * 300,
    "tables": "x = " + "{a = " * 500 + "1" + "}" * 500,
    "a long key": "a." * 200_000 + "a = 1",
    "a long key in quotes": '"a" . ' * 100_000 + "a = 1",
    "a long header": "[" + "a." * 100_000 + "a]",
    "a long number": "x = " + "9" * 100_000,
    "a long hexadecimal number": "x = 0x" + "f" * 100_000,
    "escapes": f"x = '{ESCAPES}'",
    "more than it may have": "# " + "a" * (8 << 20),
    "no UTF-8": b"\xff\xfe\x00".decode("latin-1"),
}
for name, content in DEEP.items():
    encoded = content.encode("latin-1" if "UTF" in name else "utf-8")
    file(f"configuration of {name}", "x.toml", lambda c=encoded: c, "train", "--out", "out")
    if name in ("arrays", "a long key", "escapes", "no UTF-8", "tables"):

        @hostile(f"site metadata of {name}")
        def metadata(folder: Path, encoded: bytes = encoded) -> Command:
            write_csv(folder / "XX-Syn.csv", fluxnet_table(4))
            (folder / "site.toml").write_bytes(encoded)
            return ["inspect", "XX-Syn.csv", "--site", "site.toml"]

        @hostile(f"format of {name}")
        def form(folder: Path, encoded: bytes = encoded) -> Command:
            write_csv(folder / "XX-Syn.csv", fluxnet_table(4))
            (folder / "form.toml").write_bytes(encoded)
            return ["inspect", "XX-Syn.csv", "--format", "form.toml"]


VALUES = ("nan", "inf", "-1", "1e400", '"x"', "[[1]]", "{a = 1}", "1979-05-27", "true", "99999999999999999999999")
for value in VALUES:
    file(
        f"configuration with {value} everywhere",
        "x.toml",
        lambda v=value: f"""
data = {{ met = {v}, latitude = {v}, exclude = {v}, basin_days = {v} }}
split = {{ kind = "periods", train = {v}, validation = [{v}, {v}] }}
model = {{ hidden_size = {v}, dynamic = {v}, soil = {v} }}
training = {{ updates = {v}, seed = [{v}] }}
""".encode(),
        "train",
        "--out",
        "out",
    )
TABLES_OF_SITES = {
    "of one line": b"site,lat,lon\n" + b"9" * (4 << 20),
    "of zeros": ZEROS,
    "of escapes": f"site,lat,lon\n{ESCAPES},x,y\n".encode(),
    "of long numbers": b"site,lat,lon\nx," + b"9" * 100_000 + b",x\n",
}
for name, content in TABLES_OF_SITES.items():
    file(f"table of sites {name}", "x.csv", lambda c=content: c, "sites", "--add")


# Run directories whose checksum is right

MANIFEST = {
    "format": 5, "versions": {"bowen": "0.1.0"}, "records": [], "scaler": {"mean": {}, "spread": {}},
    "site": {"igbp": "MF", "reference_height": 30.0, "canopy_height": 18.0}, "water": {}, "labeling": "split",
    "purpose": "training", "weights": "", "as_unseen": False,
}  # fmt: skip
ARRAY = io.BytesIO()
np.save(ARRAY, np.zeros(3))


def claimed(shape: str, kind: str = "<f8") -> bytes:
    """An array whose header claims a shape."""
    header = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def run_directory(
    name: str,
    manifest: dict[str, object] | bytes | None = None,
    weights: Callable[[], bytes] = lambda: in_zip({"history.npy": ARRAY.getvalue()}),
) -> None:
    """Add a run directory whose manifest is changed, or is other bytes, with these weights."""

    @hostile(f"run directory with {name}")
    def write(folder: Path) -> Command:
        run = folder / "run"
        run.mkdir()
        text = manifest
        if not isinstance(text, bytes):
            content = MANIFEST | (text or {})
            text = json.dumps({**content, "checksum": checksum(content)}).encode()
        (run / "run.json").write_bytes(text)
        (run / "config.toml").write_text('[data]\nmet = "x.csv"\n[model]\nkind = "process"\ndynamic = []\n')
        (run / "weights.npz").write_bytes(weights())
        return ["evaluate", "run"]


run_directory("JSON of arrays", b"[" * 100_000)
run_directory("JSON of tables", b'{"a":' * 100_000)
run_directory("JSON of a list", b"[]")
run_directory("JSON of a long number", b'{"format": ' + b"9" * 100_000 + b"}")
run_directory("JSON without end", b"[" + b"0," * (4 << 20))
for field, value in itertools.product(("records", "scaler", "site", "water"), (None, 5, "x", [[]], {"a": []})):
    run_directory(f"{value!r} for {field}", {field: value})
run_directory("a format of a word", {"format": ESCAPES})
run_directory("versions of a word", {"versions": "x"})
run_directory("settings of a word", {"settings": [["x"]]})
WEIGHTS = {
    "an array of 1e12 numbers": lambda: in_zip({"history.npy": claimed("(1000000000000,)")}),
    "an array of 1e18 numbers": lambda: in_zip({"history.npy": claimed("(1000000000, 1000000000)")}),
    "an array of a size below zero": lambda: in_zip({"history.npy": claimed("(-5,)")}),
    "an array of objects": lambda: in_zip({"history.npy": claimed("(1,)", "|O") + b"cos\nsystem\n(S'x'\ntR."}),
    "an array of an odd header": lambda: in_zip({"history.npy": claimed("[[" * 2000)}),
    "an array of code": lambda: in_zip({"history.npy": claimed("().__class__")}),
    "an array of words": lambda: in_zip({"history.npy": claimed("(1,)", "<U1") + bytes(4)}),
    "an array that expands": lambda: in_zip({"history.npy": claimed(f"({300 << 17},)") + ZEROS * 300}),
    "an array in another version": lambda: in_zip({"history.npy": b"\x93NUMPY\x03\x00" + ZEROS[:99]}),
    "a member that is a path": lambda: in_zip({"../../outside/x.npy": ARRAY.getvalue()}),
    "encrypted weights": lambda: patched(in_zip({"history.npy": ARRAY.getvalue()}), 6, 8, "<H", 1),
    "weights of bytes": lambda: bytes(range(256)),
}  # fmt: skip
for name, content in WEIGHTS.items():
    run_directory(name, weights=content)


@hostile("run directory with a lock that is a link")
def lock_link(folder: Path) -> Command:
    write_csv(folder / "XX-Syn.csv", fluxnet_table(4))
    (folder / "run").mkdir()
    (folder / "run" / "lock").symlink_to(folder.parent / NOT_READ)
    site = "\n".join(f"{key} = {json.dumps(value)}" for key, value in SITE.items())
    (folder / "x.toml").write_text(f'[data]\nmet = "XX-Syn.csv"\n{site}\n')
    return ["train", "x.toml", "--out", "run"]
