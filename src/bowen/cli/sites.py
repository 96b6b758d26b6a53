"""Commands about many sites: fetch, search and archive records."""

import functools
from pathlib import Path
from typing import Annotated

import typer

from bowen.cli import output
from bowen.cli.app import AsJson, DailyFolder, command, mention_outdated
from bowen.errors import BowenError, ConfigError, DataError


@command
def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME...]", help="Sample towers, or `plumber2` or `fluxnet` with sites."),
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for the files, instead of the default cache.")] = None,
    server: Annotated[
        str | None, typer.Option(help="Folder with PLUMBER2's Met and Flux on another server (BOWEN_PLUMBER2).")
    ] = None,
) -> None:
    """Fetch records and print their paths; without a name, list those available.

    For example: fetch BE-Vie, or fetch plumber2 AU-Tum, or fetch fluxnet CH-Dav. Without a site, `fetch plumber2` lists
    its sites. Interrupted downloads are continued, and existing files are not fetched again.
    """
    from bowen import data

    collections = {
        "plumber2": "170 sites, gap-filled weather and fluxes; from the publisher",
        "fluxnet": "sites of AmeriFlux, ICOS and TERN; through the package fluxnet-shuttle",
    }
    source, *sites = names or [""]
    if not source:
        rows = [[name, sample.what] for name, sample in data.SAMPLES.items()]
        output.show_table(["tower", "record"], rows + [[f"{name} SITE", what] for name, what in collections.items()])
    elif source in collections and not sites:
        listed = (
            data.list_plumber2_sites(cache, server=server, report=output.print_message)
            if source == "plumber2"
            else None
        )
        output.print_result("\n".join(listed or data.list_fluxnet_sites(cache, report=output.print_message)))
    elif source == "plumber2":
        for site in sites:
            with output.show_downloads() as watch:
                got = data.fetch_plumber2(site, cache, server=server, report=output.print_message, watch=watch)
            output.print_result("\n".join(map(str, got)))
    elif source == "fluxnet":
        for site in sites:
            output.print_result(data.fetch_fluxnet(site, cache, report=output.print_message))
    else:
        if unknown := [name for name in (source, *sites) if name not in data.SAMPLES]:
            raise ConfigError(
                "fetch",
                f"`{unknown[0]}` is not one of the sample towers {', '.join(data.SAMPLES)}",
                fix=f"run bowen fetch plumber2 {unknown[0]}, or bowen fetch fluxnet {unknown[0]}",
            )
        for name in (source, *sites):
            output.print_result(data.fetch_sample(name, cache, report=output.print_message))


@command
def sites(
    igbp: Annotated[str | None, typer.Option(help="Vegetation class to select, such as ENF.")] = None,
    near: Annotated[
        tuple[float, float, float] | None, typer.Option(metavar="LAT LON KM", help="Circle to select.")
    ] = None,
    add: Annotated[
        Path | None, typer.Option(help="Add sites from a CSV table, a BIF file, or the record of a tower.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List known sites: position, vegetation, heights, climate.

    Records without site metadata take them from this catalog. `--add` adds sites to your own table, which takes
    precedence over the table of bowen.
    """
    from bowen import data

    if add is not None:
        added = data.add_sites(add, report=output.print_message)
        output.print_message(f"{len(added)} sites added to {data.get_user_sites_path()}")
        if igbp is None and near is None and not as_json:
            return
    found = data.list_sites(igbp, near)
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
            metavar="[PATH...]", help="Records, or folders of them; Flux files are paired with their Met files."
        ),
    ] = None,
    basins: Annotated[Path | None, typer.Option(help="River basins: the folder of CAMELS, or a .tar of it.")] = None,
    daily: DailyFolder = None,
) -> None:
    """Write records of towers and basins to one archive that opens quickly, and print their names in it.

    Without records, list the archive. Records that cannot be used are reported and left out. Basins are stored as
    daily values, and disaggregated to half-hours when they are used.
    """
    from bowen import data

    if not paths and basins is None:
        output.print_result("\n".join(data.list_records(out)))
        mention_outdated(out)
        return
    records = [functools.partial(data.read, *pair) for pair in data.pair_files(paths or [])]
    if basins is not None:
        records += [functools.partial(data.read_camels, basins, basin) for basin in data.list_basins(basins)]
    refused, fluxes = 0, data.find_daily_files(daily) if daily else {}
    for count, record in enumerate(records, start=1):
        try:
            dataset = data.add_daily_file(record(), fluxes)
        except BowenError as problem:
            refused += 1
            output.print_message(f"{count} of {len(records)}: {problem}")
            continue
        output.print_result(data.write_record(out, dataset))
    if refused or not records:
        raise DataError(
            str(out),
            f"{refused} of {len(records)} records could not be used; the others are archived",
            fix="see the messages above",
        )
