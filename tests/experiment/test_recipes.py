"""Recipes of CONTRIBUTING, done: a process with a store touches four files, and its budgets close.

The edits below add ponding, water that stands on the ground, to a copy of the package. Nothing else of it is touched.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import bowen

ROOT = Path(bowen.__file__).parent
POND = '''def pond_infiltration(ponded: Scalar, storage: Scalar, capacity: Scalar) -> Scalar:
    """Compute the ponded water that a root zone has room for.

    Args:
        ponded: Water standing on the ground. [kg m-2]
        storage: Water in the root zone. [kg m-2]
        capacity: Capacity of the root zone. [kg m-2]

    Returns:
        Water that infiltrates. [kg m-2]

    Source:
        An example.
    """
    return jnp.minimum(ponded, jnp.maximum(capacity - storage, 0.0))


'''
EDITS = {  # in each file, a text and what takes its place
    "physics/hydrology.py": [("def reservoir(", POND + "def reservoir(")],
    "land/parameters.py": [
        (
            "    snow_cover_mass: Scalar",
            '    ponding_capacity: Scalar = quantity("kg m-2", "Water that the ground holds before it runs off", '
            'default=0.0, bounds=(0.0, 50.0), role="static", start=5.0)\n    snow_cover_mass: Scalar',
        )
    ],
    "land/variables.py": [
        (
            "    canopy_water: Scalar",
            '    ponded_water: Scalar = quantity("kg m-2", "Water standing on the ground", water="store", '
            "draw=(0.0, 5.0))\n    canopy_water: Scalar",
        )
    ],
    "land/step.py": [
        (
            "    excess = hydrology.saturation_excess(",
            "    infiltrated = hydrology.pond_infiltration(state.ponded_water, state.root_zone_water, capacity)\n"
            "    filled = filled + infiltrated\n    excess = hydrology.saturation_excess(",
        ),
        (
            "    quickflow_water, surface_runoff = hydrology.reservoir(",
            "    arrived = state.ponded_water - infiltrated + excess\n"
            "    ponded = jnp.minimum(arrived, parameters.ponding_capacity)\n"
            "    quickflow_water, surface_runoff = hydrology.reservoir(",
        ),
        ("(quick + excess) / dt, parameters.quickflow", "(quick + arrived - ponded) / dt, parameters.quickflow"),
        ('"quickflow_water": quickflow_water,', '"quickflow_water": quickflow_water,\n        "ponded_water": ponded,'),
    ],
}
SIMULATE = """
    import json
    import jax
    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp
    import bowen as bw
    from bowen.evaluation.scores import audit_budgets
    from bowen.experiments.twin_experiment import make_weather
    from bowen.land.parameters import Parameters
    from bowen.land.variables import initial_state
    from bowen.models.rollout import run_from_state
    from bowen.training.arrays import to_dataset
    from bowen.training.site_data import SiteData
    record = make_weather(40, 0)
    record["precipitation"] *= 8.0
    for name in list(record):
        record[name + "_qc"] = "time", 0 * record["wind_speed"].values.astype("int8")
    parts = {"mean": {}, "spread": {}, "features": (), "apply": lambda *_: jnp.zeros((1920, 0))}
    scaler = type("Scaler", (), parts)()
    site = SiteData(record, scaler=scaler)
    wet = Parameters(root_zone_capacity=30.0, infiltration_shape=1.0, ponding_capacity=5.0)
    model = bw.Process(wet)
    _, output = run_from_state(model, initial_state(wet, jnp.asarray(285.0)), site.arrays.inputs)
    simulation = to_dataset(model, output, record, "ponding")
    found = audit_budgets(simulation)
    print(json.dumps([found["energy_residual_max"], found["water_residual_max"], found["water_closure"],
                      float(simulation.ponded_water.max()), simulation.ponded_water.attrs["units"]]))
"""


def test_a_process_with_a_store_touches_four_files_and_closes(tmp_path):
    copy = tmp_path / "bowen"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for name, edits in EDITS.items():
        text = (copy / name).read_text(encoding="utf-8")
        for old, new in edits:
            assert text.count(old) == 1, f"{name} has changed: bring the recipe up to date at {old!r}"
            text = text.replace(old, new)
        (copy / name).write_text(text, encoding="utf-8")
    assert len(EDITS) == 4
    script = "\n".join(line.removeprefix("    ") for line in SIMULATE.splitlines())
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    energy, water, closure, highest, unit = json.loads(done.stdout.splitlines()[-1])
    assert energy < 1e-9 and water < 1e-14 and abs(closure) < 1e-9
    assert 1.0 < highest <= 5.0 and unit == "kg m-2"
