"""Strictness for the tests only: double precision, no silent promotion, one CPU; compiled as for the command."""

import os
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

from bowen.cli.xla_flags import fuse_more

fuse_more()
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(autouse=True)
def double_precision_after() -> Iterator[None]:
    """A command sets the precision of its configuration; leave that of the tests behind."""
    yield
    jax.config.update("jax_enable_x64", True)


@pytest.fixture(scope="module", autouse=True)
def what_was_compiled_goes() -> Iterator[None]:
    """Compiled programs hold maps of memory, of which Linux gives a process 65,530; all tests together need more."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session", autouse=True)
def nobodys_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the downloads and the table of sites of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOWEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real towers, beside the checkout or where BOWEN_SHARED_DATA says."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("BOWEN_SHARED_DATA", beside))
    if not folder.is_dir():
        pytest.skip("skipped: no shared data")
    return folder


@pytest.fixture
def key():
    """A random key that never changes."""
    return jax.random.key(0)
