"""The options of XLA that the command sets: beside what the user has set, in time, and known to the compiler."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from bowen import cli
from bowen.cli.xla_flags import DEVICES, LOOPS, OPTION, SMALL, cores, fuse_loops, fuse_more, use_cores

OURS = f"--xla_backend_extra_options={OPTION}=true"
OURS_TOO = f"--xla_backend_extra_options={LOOPS}={SMALL}"
OTHER = "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=0"
COUNT = """
    import json, re, sys
    import jax, jax.numpy as jnp
    if sys.argv[1] == "more":
        from bowen.cli.xla_flags import fuse_more
        fuse_more()
    def pair(x):
        product = x @ x
        return jnp.sin(product) + product**2, jnp.cos(product)
    text = jax.jit(pair).lower(jnp.ones((64, 64))).compile().as_text()
    print(json.dumps(len(re.findall(r"= \\(.*\\) fusion\\(", text))))
"""
COLUMN = """
    import json, sys
    from bowen.cli.xla_flags import fuse_loops, fuse_more
    fuse_more()
    if sys.argv[1] == "loops":
        fuse_loops()
    import jax, jax.numpy as jnp
    jax.config.update("jax_enable_x64", True)
    from bowen.land.parameters import Parameters
    from bowen.land.step import ImplicitStep
    from bowen.land.variables import Forcing, initial_state
    from bowen.models.base import Process
    from bowen.models.rollout import Inputs, unroll
    from bowen.experiments.twin_experiment import make_weather
    record = make_weather(5, 0)
    names = ("shortwave_down", "air_temperature", "specific_humidity", "air_pressure", "wind_speed", "precipitation")
    series = {name: jnp.asarray(record[name].values) for name in names}
    forcing = Forcing(**series, longwave_down=jnp.asarray(record.longwave_down.values))
    base = Parameters()
    inputs = Inputs(forcing, jnp.zeros((240, 0)), jnp.asarray(1800.0))
    state = initial_state(base, jnp.asarray(283.0))
    def summed(model):
        fluxes = unroll(model, model.init(state), inputs)[1].fluxes
        return fluxes.latent_heat.sum(), (fluxes.latent_heat, fluxes.energy_residual, fluxes.water_residual)
    model = Process(base, ("root_zone_capacity",), solver=ImplicitStep(substeps=1))
    ready = jax.jit(jax.value_and_grad(summed, has_aux=True, allow_int=True)).lower(model).compile()
    (_, told), gradient = ready(model)
    told = [values.tolist() for values in told]
    kernels, entry = ready.as_text().count("xla_cpu_small_call"), ready.as_text().split("ENTRY")[1]
    print(json.dumps([kernels, entry.count(" while("), *told, float(gradient.offsets["root_zone_capacity"])]))
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


@pytest.mark.parametrize("flags", ["flags.txt", f"--{DEVICES}=1", f"{OTHER} --{DEVICES}=8"])
def test_how_many_devices_the_user_wants_stands(monkeypatch, flags):
    monkeypatch.setenv("XLA_FLAGS", flags)
    use_cores()
    assert os.environ["XLA_FLAGS"] == flags


def test_the_way_of_jax_to_ask_for_devices_stands(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "3")
    use_cores()
    assert not os.environ["XLA_FLAGS"]


def test_the_command_sets_all_flags(monkeypatch):
    seen = []
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setattr(cli, "app", lambda: seen.append(os.environ["XLA_FLAGS"]))
    cli.main()
    assert seen == [f"{OURS} {OURS_TOO} --{DEVICES}={cores()} --xla_cpu_multi_thread_eigen=false"]


def test_a_choice_of_loops_stands_beside_the_others(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    fuse_more()
    for _ in range(2):
        fuse_loops()
        assert os.environ["XLA_FLAGS"] == f"{OURS} {OURS_TOO}"
    monkeypatch.setenv("XLA_FLAGS", OTHER)
    fuse_loops()
    assert os.environ["XLA_FLAGS"] == OTHER


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system tells of no such thing")
def test_a_process_that_is_held_to_one_core_has_one_device():
    code = """
        import os
        from bowen.cli.xla_flags import use_cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
        use_cores()
        import jax
        print(jax.device_count())
    """
    assert said_by(code) == "1\n"
    assert said_by(code.replace("[:1]", "")) == f"{cores()}\n"


def said_by(code, *words, flags=""):
    """What a process of its own prints that runs some code."""
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", textwrap.dedent(code), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def outputs_in_one_loop(how, flags=""):
    """How many kernels of a small program have two results, in a process of its own."""
    return json.loads(said_by(COUNT, how, flags=flags))


def test_xla_knows_the_option_after_jax_was_imported_too():
    assert [outputs_in_one_loop("as it is"), outputs_in_one_loop("more")] == [0, 1]


def test_it_can_be_turned_off():
    assert outputs_in_one_loop("more", "--xla_disable_hlo_passes=cpu_multi_output_fusion") == 0


def test_xla_passes_over_a_name_it_does_not_know():
    assert outputs_in_one_loop("as it is", "--xla_backend_extra_options=xla_cpu_no_such_option=true") == 0


@pytest.mark.slow
def test_a_column_in_one_kernel_is_the_column():
    """To round-off, with its gradient, and its budgets close; the option is asked for beside the other."""
    (none, loops, apart, *_, slope), (some, days, together, energy, water, same) = (
        json.loads(said_by(COLUMN, how)) for how in ("as it is", "loops")
    )
    assert none <= some > 0, "XLA knows the option, and does so by itself since jaxlib 0.12"
    assert loops > 0 and days > 0, "the loop over days keeps what it told, and must not become a kernel"
    np.testing.assert_allclose(together, apart, rtol=1e-9, atol=1e-9)
    assert max(np.abs(apart)) > 50.0 and same == pytest.approx(slope, rel=1e-7) and slope != 0.0
    assert max(np.abs(energy)) < 1e-9 and max(np.abs(water)) < 1e-14
