"""A sandbox for commands, and a small trained run, made once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trust.runs import train_small
from tests.trust.sandbox import Sandbox


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Runs commands of bowen."""
    sandbox = Sandbox(tmp_path_factory.mktemp("home"))
    yield sandbox
    sandbox.close()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory of a calibrated process, beside its record; to be copied, not changed."""
    return train_small(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(trained.parent, tmp_path / "copy")
    return tmp_path / "copy" / trained.name
