"""The numbers of whole runs stay as they are, unless a change says that they move."""

import json

import pytest

from bowen.experiments.origin import NUMBERS_VERSION
from tests.regression.runs import KEPT, MODELS, numbers


def test_the_numbers_are_of_this_version():
    assert json.loads(KEPT.read_text())["version"] == NUMBERS_VERSION, "python -m tests.regression.runs"


@pytest.mark.regression
@pytest.mark.parametrize("kind", MODELS)
def test_a_run_gives_the_numbers_it_gave(kind):
    kept = json.loads(KEPT.read_text())[kind]
    assert numbers(kind) == pytest.approx(kept, rel=1e-7, abs=1e-12), (
        "if numbers were meant to move: python -m tests.regression.runs, and a Behavior line in CHANGELOG.md"
    )
