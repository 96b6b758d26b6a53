"""Commands about the record of a tower."""

from pathlib import Path
from typing import Annotated

import typer

from bowen.cli import output
from bowen.cli.app import AsJson, FluxFile, SiteFile, TableFormat, command, read_site_option, require_suffix
from bowen.errors import DataError


@command
def inspect(
    met: Annotated[Path, typer.Argument(metavar="PATH", help="A tower's file, .zip or folder.")],
    flux: FluxFile = None,
    site: SiteFile = None,
    kind: TableFormat = None,
    as_json: AsJson = False,
    page: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Also write a page of figures.")] = None,
) -> None:
    """Summarize a record; exit with 1 if it cannot drive or train a model."""
    from bowen import data
    from bowen.reporting.record_page import write_inspection, write_refusal

    require_suffix(page, "--page", "a page in HTML", ".html", ".htm")
    try:
        dataset = data.read(met, flux, site=read_site_option(site), kind=kind)
    except DataError as unreadable:
        if page:
            write_refusal(page, met.name, str(unreadable))
        raise
    found = data.summarize_record(dataset)
    problem = found["usable"]["train"]  # a record that cannot drive a model cannot train one either
    if as_json:
        output.show_json(found | {"problem": problem})
    else:
        output.show_summary(found)
    if page:
        output.print_message(f"Page: {write_inspection(page, dataset, found)}")
    if problem:
        raise DataError(problem)


@command
def formats(
    name: Annotated[str | None, typer.Argument(help="Format to print, as a template.")] = None,
) -> None:
    """List the known formats of text tables, or print one as TOML."""
    from bowen.data.formats import load_formats, read_format_text

    if name is None:
        output.print_result("\n".join(f"{name:<18}{kind.title}" for name, kind in sorted(load_formats().items())))
    else:
        output.print_result(read_format_text(name).rstrip())
