"""Page about a tower and the models run at it."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from bowen.reporting.html import element, prose
from bowen.reporting.study import Study


def write_report(
    path: Path | str,
    observed: xr.Dataset,
    simulations: Mapping[str, xr.Dataset],
    scores: pd.DataFrame,
    split: np.ndarray | xr.DataArray,
    *,
    title: str,
    training: Iterable[str] = (),
    notes: Iterable[str] = (),
    history: Mapping[str, pd.DataFrame] | None = None,
) -> Path:
    """Write a self-contained HTML page about a tower and the models run at it, atomically.

    Args:
        path: The file to write.
        observed: The canonical record.
        simulations: By model name, simulations on the time axis of the record. Both fluxes are needed; parameters,
            states and budgets are shown for the models that have them.
        scores: Scores of these models in the long format of `bowen.evaluation.scores.score`.
        split: The label of each step: "train", "validation", "test" or "".
        title: Title of the page.
        training: Sentences on where and when the models were trained, for the head of the page.
        notes: Sentences to show with the assumptions of the record.
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
            model_sections.render_skill(study),
            model_sections.render_series(study),
            model_sections.render_cycles(study),
            model_sections.render_scatter(study),
            model_sections.render_parameters(study),
            model_sections.render_states(study),
            model_sections.render_budgets(study),
            model_sections.render_training(study),
            model_sections.render_notes(study, list(notes)),
        ]
    header = [element("h1", title), tables.render_site_facts(study.observed), tables.render_split(study)]
    header += [prose(sentence) for sentence in training]
    return write_page(path, title, "bowen · site report", header, sections)
