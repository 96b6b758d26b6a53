"""The page: sections in order under a header, in one file that needs nothing else."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from bowen.reporting.html import element
from bowen.reporting.study import Study


def write_report(
    path: Path | str,
    observed: xr.Dataset,
    simulations: Mapping[str, xr.Dataset],
    scores: pd.DataFrame,
    split: np.ndarray | xr.DataArray,
    *,
    title: str,
    notes: Iterable[str] = (),
    history: Mapping[str, pd.DataFrame] | None = None,
) -> Path:
    """Write one self-contained HTML page about a tower and the models run at it, whole or not at all.

    Args:
        path: Where to.
        observed: The canonical record.
        simulations: By model name, what each gave on the record's time axis. Both fluxes are needed; parameters,
            states and budgets are shown for the models that have them.
        scores: Scores of these models in the long format of `bowen.evaluation.scores.score`.
        split: The label of each step: "train", "validation", "test" or "".
        title: The page's title.
        notes: Sentences to print with the record's own assumptions.
        history: By model name, a table with columns `step`, `loss` and `validation`, the mean validation NSE.

    Returns:
        The path written.

    Raises:
        DataError: A simulation or the split does not fit the record, or a simulated flux is not finite.
        RunError: The file cannot be written.
    """
    # Imported here because they bring matplotlib: a second that only a report should cost.
    import matplotlib

    from bowen.reporting import model_sections, tables, theme
    from bowen.reporting.page import write_page

    study = Study(observed, simulations, np.asarray(split), scores, history or {})
    with matplotlib.rc_context(theme.STYLE):
        sections = [
            model_sections.skill(study),
            model_sections.series(study),
            model_sections.cycles(study),
            model_sections.scatter(study),
            model_sections.parameters(study),
            model_sections.states(study),
            model_sections.budgets(study),
            model_sections.training(study),
            model_sections.notes(study, list(notes)),
        ]
    header = [element("h1", title), tables.facts(study.observed), tables.ribbon(study)]
    return write_page(path, title, "bowen · site report", header, sections)
