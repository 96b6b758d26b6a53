"""The page: sections in order under a header, in one file that needs nothing else."""

from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from bowen.files import replace_atomically
from bowen.reporting.html import Markup, element, join
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

    study = Study(observed, simulations, np.asarray(split), scores, history or {})
    with matplotlib.rc_context(theme.STYLE):
        body = [
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
    header = element(
        "header",
        element("p", "bowen · site report", class_="eyebrow"),
        element("h1", title),
        tables.facts(study.observed),
        tables.ribbon(study),
    )
    text = page(title, theme.style_sheet(), header, [part for part in body if part])
    with replace_atomically(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    return Path(path)


def page(title: str, style: Markup, header: Markup, body: list[Markup]) -> str:
    """Put a page together, with links to its sections."""
    links = [_link(part) for part in body]
    head = join(
        [
            Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'),
            element("title", title),
            style,
        ]
    )
    footer = element("footer", f"Written by bowen {_version()}.")
    whole = element("body", header, element("nav", *links), element("main", *body), footer)
    return f'<!doctype html>\n<html lang="en">{element("head", head)}{whole}</html>\n'


def _link(part: Markup) -> Markup:
    identifier = part.split('id="', 1)[1].split('"', 1)[0]
    return element("a", identifier.capitalize(), href=f"#{identifier}")


def _version() -> str:
    try:
        return metadata.version("bowen")
    except metadata.PackageNotFoundError:
        return "from a source tree"
