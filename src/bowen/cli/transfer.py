"""The command that judges trained models at what they were never shown."""

from pathlib import Path
from typing import Annotated

import typer

from bowen.cli import output
from bowen.cli.app import DailyFolder, PrecisionOption, RunFolders, command
from bowen.errors import ConfigError


@command
def transfer(
    runs: RunFolders,
    out: Annotated[Path, typer.Option(help="Folder for days and numbers; one that was interrupted goes on.")],
    basins: Annotated[Path | None, typer.Option(help="River basins: the folder of CAMELS, or a .tar of it.")] = None,
    met: Annotated[
        list[Path] | None, typer.Option(help="Towers: a Met file or a folder of them; may be given again.")
    ] = None,
    daily: DailyFolder = None,
    step: Annotated[int, typer.Option(help="Seconds in the steps that are made of days.")] = 1800,
    first: Annotated[str | None, typer.Option("--from", help="First year, month or day to judge.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last year, month or day to judge.")] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--with", help="Option of the physics, off in training, to switch on; may be given again."),
    ] = None,
    precision: PrecisionOption = None,
) -> None:
    """Judge trained models, and LaD as it comes, by what they were never shown.

    That is the streamflow of river basins; and at towers, soil temperature and moisture, ground heat, and the days of
    latent and sensible heat where a model was not trained.
    """
    if basins is None and not met:
        raise ConfigError("transfer to where? Name basins or towers, as in `bowen transfer RUN --basins CAMELS`.")
    from bowen.experiments import run as experiment
    from bowen.experiments import transfer as test

    models = [test.enable_options(experiment.load_run(run, precision), options or ()) for run in runs]
    places = test.basin_places(basins, step=step, say=output.print_message) if basins else []
    places += test.tower_places(met, daily, say=output.print_message) if met else []
    table = test.transfer(models, places, out, first=first, last=last, say=output.print_message)
    output.show_medians(test.medians(table), out / "transfer.csv")
