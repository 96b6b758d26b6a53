"""The options of XLA that the command sets: beside what the user has set, in time, and known to the compiler."""

import json
import os
import subprocess
import sys

import pytest

import bowen
from bowen import cli
from bowen.compiler import OPTION, fuse_more

OURS = f"--xla_backend_extra_options={OPTION}=true"
OTHER = "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=0"
COUNT = """
    import json, re, sys
    import jax, jax.numpy as jnp
    if sys.argv[1] == "more":
        from bowen.compiler import fuse_more
        fuse_more()
    def pair(x):
        product = x @ x
        return jnp.sin(product) + product**2, jnp.cos(product)
    text = jax.jit(pair).lower(jnp.ones((64, 64))).compile().as_text()
    print(json.dumps(len(re.findall(r"= \\(.*\\) fusion\\(", text))))
"""


@pytest.mark.parametrize(
    ("flags", "after"),
    [
        (None, OURS),
        (" ", OURS),
        (OTHER, f"{OTHER} {OURS}"),
        (f"{OTHER},{OPTION}=1", f"{OTHER},{OPTION}=1"),
        ("flags.txt", "flags.txt"),
    ],
    ids=["none", "blank", "others", "the same", "a file"],
)
def test_what_the_user_has_set_stands(monkeypatch, flags, after):
    monkeypatch.delenv("XLA_FLAGS") if flags is None else monkeypatch.setenv("XLA_FLAGS", flags)
    for _ in range(2):
        fuse_more()
        assert os.environ["XLA_FLAGS"] == after


def test_the_command_sets_it_and_the_library_offers_it(monkeypatch):
    seen = []
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setattr(cli, "app", lambda: seen.append(os.environ["XLA_FLAGS"]))
    cli.main()
    assert seen == [OURS]
    assert bowen.fuse_more is fuse_more


def outputs_in_one_loop(how, flags=""):
    """How many kernels of a small program have two results, in a process of its own."""
    code = "\n".join(line[4:] for line in COUNT.splitlines())
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", code, how], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_xla_knows_the_option_after_jax_was_imported_too():
    assert [outputs_in_one_loop("as it is"), outputs_in_one_loop("more")] == [0, 1]


def test_it_can_be_turned_off():
    assert outputs_in_one_loop("more", "--xla_disable_hlo_passes=cpu_multi_output_fusion") == 0


def test_xla_passes_over_a_name_it_does_not_know():
    assert outputs_in_one_loop("as it is", "--xla_backend_extra_options=xla_cpu_no_such_option=true") == 0
