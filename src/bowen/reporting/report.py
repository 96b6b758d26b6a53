"""Report of simulations at one site, in one call."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from bowen.data.checks.required import check_canonical
from bowen.evaluation.scores import score
from bowen.reporting.model_page import write_report


def report(
    simulations: xr.Dataset | Iterable[xr.Dataset],
    record: xr.Dataset,
    split: np.ndarray | xr.DataArray,
    path: Path | str = "report.html",
    *,
    title: str | None = None,
    history: Mapping[str, pd.DataFrame] | None = None,
) -> Path:
    """Write one self-contained HTML page about a site and the models simulated there.

    Args:
        simulations: One or several, each with a name of its own in the attribute `model`.
        record: The canonical record.
        split: Label of each step: "train", "validation", "test" or "".
        path: The file to write.
        title: Of the page; None: the site and the models.
        history: Of the trainings, by model name.

    Returns:
        The path written.

    Raises:
        DataError: The record is not canonical, or a simulation or the split does not fit the record.
        RunError: The file cannot be written.
    """
    check_canonical(record)
    several = [simulations] if isinstance(simulations, xr.Dataset) else list(simulations)
    named = {str(simulation.attrs["model"]): simulation for simulation in several}
    scores = [score(simulation, record, np.asarray(split), model=name) for name, simulation in named.items()]
    title = f"{record.attrs['site']}: {', '.join(named)}" if title is None else title
    return write_report(path, record, named, pd.concat(scores, ignore_index=True), split, title=title, history=history)
