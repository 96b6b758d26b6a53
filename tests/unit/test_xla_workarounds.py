"""Each workaround for XLA does what it says, and is known to be needed by the version that is installed."""

import json
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np
import pytest

from bowen.numerics import xla_workarounds
from bowen.numerics.xla_workarounds import (
    LAST_SEEN_NEEDED,
    isolate_program,
    keep_loop_unfused,
    optimization_fence,
    select_by_mask,
)

LOOP = """
    import json, sys
    from bowen.cli.xla_flags import fuse_loops
    fuse_loops()
    import jax, jax.numpy as jnp
    from bowen.numerics.xla_workarounds import keep_loop_unfused
    keep = keep_loop_unfused if sys.argv[1] == "with" else lambda carry: carry
    def inner(carry, x):
        return 0.9 * carry + x, jnp.sin(carry)
    def day(carry, x):
        return jax.lax.scan(inner, keep(carry), x)
    days = jax.jit(lambda carry, x: jax.lax.scan(day, carry, x))
    text = days.lower(jnp.zeros(2), jnp.ones((4, 48, 2))).compile().as_text()
    print(json.dumps(text.split("ENTRY")[1].count(" while(")))
"""


@pytest.mark.parametrize("name", LAST_SEEN_NEEDED)
def test_a_workaround_was_seen_to_be_needed_by_this_version(name):
    assert hasattr(xla_workarounds, name)
    assert jaxlib.__version__ <= LAST_SEEN_NEEDED[name], (
        f"{name} was last seen to be needed by jaxlib {LAST_SEEN_NEEDED[name]}: try without it, and remove it or move "
        "its version on"
    )


def loops_left(how: str) -> int:
    """Loops that are no part of a kernel in a small program, compiled in a process of its own."""
    command = [sys.executable, "-c", textwrap.dedent(LOOP), how]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_a_loop_is_fused_without_the_sort_in_it():
    assert loops_left("without") == 0, "keep_loop_unfused is no longer needed"
    assert loops_left("with") == 1


def test_nothing_is_changed_by_a_workaround():
    carry = (jnp.arange(6.0), jnp.asarray([jnp.nan, 1.0]), jnp.asarray(3.0))
    for workaround in (keep_loop_unfused, optimization_fence):
        jax.tree.map(np.testing.assert_array_equal, workaround(carry), carry)
    slope = jax.grad(lambda x: keep_loop_unfused((x,))[0] ** 2 + optimization_fence(x) ** 3)(jnp.asarray(2.0))
    assert slope == 2.0 * 2.0 + 3.0 * 2.0**2


def test_an_isolated_program_is_the_function():
    def cube(x):
        return x**3

    def isolated(x):
        return isolate_program(cube, jnp.zeros_like, x > 0.0, x)

    assert jax.jit(isolated)(jnp.asarray(2.0)) == 8.0
    assert jax.grad(isolated)(jnp.asarray(2.0)) == 12.0
    assert "cond" in str(jax.make_jaxpr(isolated)(1.0)) and "cond" not in str(jax.make_jaxpr(jax.grad(isolated))(1.0))


@pytest.mark.parametrize(("index", "expected"), [(0, 5.0), (2, 7.0), (-1, 0.0), (3, 0.0)])
def test_a_value_is_found_by_a_mask(index, expected):
    assert select_by_mask(jnp.asarray([5.0, 6.0, 7.0]), jnp.asarray(index)) == expected
