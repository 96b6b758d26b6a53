"""Inputs made to harm: no traceback, no hang, little memory, nothing written outside, no escape on the terminal."""

import hashlib
import re

import pytest

from tests.trust.hostile import HARMLESS, HOSTILE, NOT_READ

MAX_SECONDS, MAX_MEMORY = 10.0, 2 << 30
FEW = 10  # of which one belongs to the fast tests
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


def content_of(folder):
    """The name and the content of all that is in a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b""
        for path in folder.rglob("*")
        if not path.is_symlink()
    }


def test_there_are_enough():
    assert len(HOSTILE) >= 150 and HARMLESS <= set(HOSTILE)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if k % FEW == 0 else pytest.mark.slow) for k, name in enumerate(HOSTILE)],
)
def test_a_hostile_input_does_no_harm(sandbox, tmp_path, name):
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / NOT_READ).parent.mkdir()
    (tmp_path / NOT_READ).write_text("5.0\n" * 500)
    command = HOSTILE[name](inside)
    before = content_of(tmp_path)
    done = sandbox.run(inside, *command)
    assert done.code in ((0, 1, 2) if name in HARMLESS else (1, 2)), done.output[-3000:]
    assert "Traceback" not in done.output and not CONTROL.search(done.output), done.output[-3000:]
    assert done.seconds < MAX_SECONDS and done.memory < MAX_MEMORY, done
    if name not in HARMLESS:
        assert "bowen: " in done.output, done.output
        assert "\n  fix: " in done.output or name.startswith("configuration with"), done.output
    new = {path for path, content in content_of(tmp_path).items() if before.get(path) != content}
    assert {path for path in new if not path.startswith(("inside/out", "inside/run"))} == set()
    assert set(before) <= set(content_of(tmp_path))
