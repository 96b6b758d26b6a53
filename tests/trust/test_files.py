"""Names and texts from files choose no path and control no terminal."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowen import files
from bowen.cli import output
from bowen.cli.app import output_path
from bowen.data import read, write_record
from bowen.errors import DataError, printable
from bowen.files import bound_stream, file_name, open_file
from tests.data.files import SITE, fluxnet_table, plumber2_files, write_csv, write_nc

PRINTS = re.compile(r"(?<![\w.])print\(|typer\.echo\(|\.Console\(|sys\.std(out|err)")


@given(st.text(min_size=1))
def test_a_name_of_any_text_stays_in_its_folder(text):
    name = file_name(text)
    assert Path("folder", name).resolve().parent == Path("folder").resolve()
    assert not name.startswith(".") and file_name(name) == name


@pytest.mark.parametrize("name", ["BE-Vie", "US-Me2_2002-2020.nc", "AMF_US-ARM_FLUXNET_v1.2_r1.zip", "01013500"])
def test_usual_names_stay(name):
    assert file_name(name) == name


def test_a_site_code_that_is_a_path_stays_in_the_run(tmp_path):
    met, _ = plumber2_files()
    record = read(write_nc(tmp_path / "x_Met.nc", met.assign_attrs(site_code="../../x")))
    assert record.attrs["site"] == "../../x"
    path = output_path(tmp_path / "run", "simulation.nc", record, tmp_path)
    assert path.resolve().parent == (tmp_path / "run").resolve()


def test_a_site_code_that_is_a_path_stays_in_the_archive(tmp_path):
    pytest.importorskip("zarr")
    record = read(write_csv(tmp_path / "XX-Syn.csv", fluxnet_table(4)), site={**SITE, "site": "../../x"})
    key = write_record(tmp_path / "a" / "b" / "towers.zarr", record)
    assert (tmp_path / "a" / "b" / "towers.zarr" / key).is_dir()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


@given(st.text())
def test_printable_text_has_no_control_characters(text):
    shown = printable(text)
    assert all(letter.isprintable() or letter in "\n\t" for letter in shown)
    assert printable(shown) == shown and (shown == text or "\\" in shown)
    shown.encode()


@pytest.mark.parametrize(
    "show", [output.print_message, output.print_result, lambda text: output.show_table([text], [[text]])]
)
def test_escapes_do_not_reach_the_terminal(capsys, show):
    show("\x1b]0;owned\x07 and \x9b31m and \u202e")
    shown = "".join(capsys.readouterr())
    assert "\x1b" not in shown and "\x07" not in shown and "\x9b" not in shown and "\u202e" not in shown
    assert "\\x1b" in shown


def test_an_error_has_no_escapes():
    assert "\x1b" not in str(DataError("\x1b[2J.csv", "is \x1b[31m", fix="\x07"))


def test_one_module_of_the_command_prints():
    folder = Path(output.__file__).parent
    printing = {path.name for path in folder.glob("*.py") if PRINTS.search(path.read_text())}
    assert printing == {"output.py"}


def test_a_stream_is_bounded_in_all_and_by_line(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"ab\n" * 1000 + b"a" * 300_000)
    with open_file(path) as file, bound_stream(file, 1, 300_000) as stream:
        assert stream.read() == path.read_bytes()
    with (
        open_file(path) as file,
        bound_stream(file, 1, 290_000) as stream,
        pytest.raises(ValueError, match="a line of"),
    ):
        stream.read()
    monkeypatch.setattr(files, "MAX_SMALL_EXPANSION", 302_000)
    with open_file(path) as file, bound_stream(file, 1) as stream, pytest.raises(ValueError, match="expands to more"):
        stream.read()


def test_a_read_asks_for_no_more_than_there_is(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    with open_file(path) as file:
        assert file.read(1 << 62) == b"abc" and file.read(1 << 62) == b""


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "a")
    with pytest.raises(OSError, match="no regular file"):
        open_file(tmp_path / "a")
