"""Command that evaluates trained models on sites and variables that were not used in training."""

from pathlib import Path
from typing import Annotated

import typer

from bowen.cli import output
from bowen.cli.app import AsUnseen, DailyFolder, PrecisionOption, RunFolders, command
from bowen.errors import ConfigError


@command
def transfer_command(
    runs: RunFolders,
    out: Annotated[Path, typer.Option(help="Folder for days and scores; an interrupted transfer is resumed.")],
    basins: Annotated[Path | None, typer.Option(help="River basins: the folder of CAMELS, or a .tar of it.")] = None,
    met: Annotated[
        list[Path] | None, typer.Option(help="Towers: a Met file or a folder of them; may be repeated.")
    ] = None,
    daily: DailyFolder = None,
    step: Annotated[int, typer.Option(help="Length of the steps that days are disaggregated to [s].")] = 1800,
    first: Annotated[str | None, typer.Option("--from", help="First year, month or day to evaluate.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last year, month or day to evaluate.")] = None,
    enable: Annotated[
        list[str] | None,
        typer.Option("--enable", help="Optional process, off in training, to enable; may be repeated."),
    ] = None,
    as_unseen: AsUnseen = False,
    precision: PrecisionOption = None,
) -> None:
    """Evaluate trained models and uncalibrated LaD on sites and variables not used in training.

    These are the streamflow of river basins; and at towers, soil temperature and moisture, ground heat, and daily
    latent and sensible heat where a model was not trained.
    """
    if basins is None and not met:
        raise ConfigError("bowen transfer", "needs sites", fix="name basins or towers with --basins or --met.")
    from bowen.experiments.run import load_run
    from bowen.experiments.transfer import basin_sites, enable_options, medians, run_transfer, tower_sites

    models = [enable_options(load_run(run, precision), enable or ()) for run in runs]
    sites = basin_sites(basins, step=step, say=output.print_message) if basins else []
    sites += tower_sites(met, daily, say=output.print_message) if met else []
    table = run_transfer(models, sites, out, first=first, last=last, as_unseen=as_unseen, say=output.print_message)
    output.show_medians(medians(table), out / "transfer.csv")
