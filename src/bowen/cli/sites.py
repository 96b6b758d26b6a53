"""Commands about many towers: fetch some, find some, keep some."""

import functools
from pathlib import Path
from typing import Annotated

import typer

from bowen.cli import output
from bowen.cli.app import AsJson, DailyFolder, command
from bowen.errors import BowenError, ConfigError, DataError


@command
def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME...]", help="Sample towers; or `plumber2` or `fluxnet`, and then sites."),
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder to keep it in, in place of the usual cache.")] = None,
    server: Annotated[
        str | None, typer.Option(help="Folder on another server that holds PLUMBER2's Met and Flux (BOWEN_PLUMBER2).")
    ] = None,
) -> None:
    """Fetch towers, and print where they are; without a name tell what there is.

    For example: fetch BE-Vie, or fetch plumber2 AU-Tum, or fetch fluxnet CH-Dav. With no site, `fetch plumber2` lists
    all it has. A download that was stopped goes on, and what is there already is not fetched again.
    """
    from bowen import data

    collections = {
        "plumber2": "170 sites, weather gap-filled, with their fluxes; from its publisher",
        "fluxnet": "what AmeriFlux, ICOS and TERN share; through the package fluxnet-shuttle",
    }
    source, *sites = names or [""]
    if not source:
        rows = [[name, sample.what] for name, sample in data.SAMPLES.items()]
        output.show_table(["tower", "record"], rows + [[f"{name} SITE", what] for name, what in collections.items()])
    elif source in collections and not sites:
        listed = (
            data.plumber2_sites(cache, server=server, report=output.print_message) if source == "plumber2" else None
        )
        typer.echo("\n".join(listed or data.fluxnet_sites(cache, report=output.print_message)))
    elif source == "plumber2":
        for site in sites:
            with output.show_downloads() as watch:
                got = data.fetch_plumber2(site, cache, server=server, report=output.print_message, watch=watch)
            typer.echo("\n".join(map(str, got)))
    elif source == "fluxnet":
        for site in sites:
            typer.echo(data.fetch_fluxnet(site, cache, report=output.print_message))
    else:
        if unknown := [name for name in (source, *sites) if name not in data.SAMPLES]:
            raise ConfigError(
                f"`{unknown[0]}` is not one of the sample towers {', '.join(data.SAMPLES)}.\n"
                f"  fix: bowen fetch plumber2 {unknown[0]}, or bowen fetch fluxnet {unknown[0]}"
            )
        for name in (source, *sites):
            typer.echo(data.fetch_sample(name, cache, report=output.print_message))


@command
def sites(
    igbp: Annotated[str | None, typer.Option(help="Only those of this class of vegetation, such as ENF.")] = None,
    near: Annotated[
        tuple[float, float, float] | None, typer.Option(metavar="LAT LON KM", help="Only those inside a circle.")
    ] = None,
    add: Annotated[
        Path | None, typer.Option(help="Add sites from a CSV table, a BIF file, or the record of a tower.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell what is known of sites: position, vegetation, heights, climate.

    A record that does not say where its tower stands takes it from here. `--add` keeps what it is given in a table of
    your own, which rules over the one that comes with bowen.
    """
    from bowen import data

    if add is not None:
        added = data.add_sites(add, report=output.print_message)
        output.print_message(f"{len(added)} sites added to {data.own_table()}")
        if igbp is None and near is None and not as_json:
            return
    found = data.sites(igbp, near)
    if as_json:
        output.show_json(found)
    else:
        output.show_sites(found)


@command
def archive(
    out: Annotated[Path, typer.Argument(metavar="ARCHIVE", help="The archive, a folder such as towers.zarr.")],
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH...]", help="Records, or folders of them; a Flux file goes with the Met file of its name."
        ),
    ] = None,
    basins: Annotated[Path | None, typer.Option(help="River basins: the folder of CAMELS, or a .tar of it.")] = None,
    daily: DailyFolder = None,
) -> None:
    """Put records of towers and basins into one archive that opens at once, and print their names in it.

    Without records, tell what is in the archive. A record that cannot be used is told and left out. Basins are kept by
    the day, and made into half-hours when they are used.
    """
    from bowen import data

    if not paths and basins is None:
        typer.echo("\n".join(data.towers_in(out)))
        return
    records = [functools.partial(data.read, *pair) for pair in data.pair(paths or [])]
    if basins is not None:
        records += [functools.partial(data.read_camels, basins, basin) for basin in data.basins_in(basins)]
    refused, fluxes = 0, data.daily_files(daily) if daily else {}
    for count, record in enumerate(records, start=1):
        try:
            dataset = data.with_daily_file(record(), fluxes)
        except BowenError as problem:
            refused += 1
            output.print_message(f"{count} of {len(records)}: {problem}")
            continue
        typer.echo(data.write_tower(out, dataset))
    if refused or not records:
        raise DataError(f"{refused} of {len(records)} records could not be used; the others are in {out}.")
