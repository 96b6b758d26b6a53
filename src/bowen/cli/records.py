"""Commands about records of towers: get one, look at one."""

from pathlib import Path
from typing import Annotated

import typer

from bowen import terminal
from bowen.cli.common import Flux, Json, Site, command, read_site
from bowen.errors import DataError


@command
def fetch(
    cache: Annotated[Path | None, typer.Option(help="Folder to keep it in, in place of the usual cache.")] = None,
) -> None:
    """Fetch the tower-year of the demo (BE-Vie 2014), and print where it is."""
    from bowen import data

    typer.echo(data.fetch_demo(cache, report=terminal.say))


@command
def inspect(
    met: Annotated[Path, typer.Argument(help="A FLUXNET file, or a PLUMBER2 Met file.")],
    flux: Flux = None,
    site: Site = None,
    as_json: Json = False,
    page: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Write a page of pictures, too.")] = None,
) -> None:
    """Tell what a record holds; exit with 1 if it cannot drive or train a model."""
    from bowen import data
    from bowen.report.record import write_inspection, write_refusal

    try:
        dataset = data.read(met, flux, site=read_site(site))
    except DataError as unreadable:
        if page:
            write_refusal(page, met.name, str(unreadable))
        raise
    found = data.summary(dataset)
    problem = found["usable"]["train"]  # what cannot drive cannot train
    if as_json:
        terminal.show_json(found | {"problem": problem})
    else:
        terminal.show_summary(found)
    if page:
        terminal.say(f"Page: {write_inspection(page, dataset, found)}")
    if problem:
        raise DataError(problem)
