"""Commands about models: train, run, score, check and show them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from bowen.cli import output
from bowen.cli.app import (
    AsJson,
    FluxFile,
    MetFile,
    PrecisionOption,
    RunFolder,
    RunFolders,
    SiteFile,
    TableFormat,
    command,
    output_path,
    read_record,
    read_site,
)
from bowen.errors import ConfigError

LARGEST_RESIDUALS = {"energy_residual_max": 1e-2, "water_residual_max": 1e-6}  # round-off of single precision


@command
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the runs, the scores and the report.")] = Path("runs/demo"),
    file: Annotated[Path | None, typer.Option(help="A FLUXNET file, in place of the one that is fetched.")] = None,
    site: SiteFile = None,
    synthetic: Annotated[bool, typer.Option("--synthetic", help="Train on a record made by the model itself.")] = False,
) -> None:
    """Train calibrated LaD, the hybrid and an LSTM at one tower, and compare them."""
    if synthetic and (file or site):
        raise ConfigError("--synthetic makes its own record: leave out --file and --site.")
    from bowen.experiments import comparison as contest

    found = None
    with output.show_training() as watch:
        if synthetic:
            scores, found = contest.run_twin_demo(out, watch=watch)
        else:
            scores = contest.run_demo(out, file=file, site=read_site(site), watch=watch, say=output.print_message)
    show_comparison(scores, out)
    if found is not None:
        typer.echo(f"Correlation of the found with the true surface resistance (log, by day): {found:.3f}")


@command
def train(
    config: Annotated[Path | None, typer.Argument(help="Configuration, a TOML file.")] = None,
    met: Annotated[Path | None, typer.Option(help="The record's file, in place of the configuration's.")] = None,
    flux: FluxFile = None,
    out: Annotated[Path | None, typer.Option(help="Run directory; one that was interrupted goes on.")] = None,
    against: Annotated[bool, typer.Option("--contest", help="Train its two rivals as well, and compare.")] = False,
    distributed: Annotated[bool, typer.Option("--distributed", help="As one of several processes.")] = False,
    defaults: Annotated[bool, typer.Option("--defaults", help="Print a file with every setting, and stop.")] = False,
) -> None:
    """Train what a configuration describes, or go on where it was interrupted."""
    if defaults:
        from bowen.config.schema import Config

        typer.echo(Config.defaults(), nl=False)
        return
    if config is None or out is None:
        raise ConfigError(
            "train what, and where to? Name both, as in `bowen train us-me2.toml --out runs/us-me2`.\n"
            "  fix: `bowen train --defaults` prints a configuration to edit."
        )
    from bowen import data
    from bowen.experiments import benchmark as arena
    from bowen.experiments import comparison as contest
    from bowen.experiments import run as experiment
    from bowen.training import devices

    if distributed and against:
        raise ConfigError("--distributed trains one model: leave out --contest.")
    if distributed:
        devices.join_processes()
    chosen = experiment.load_config(config)
    if met:
        tower = chosen.data.model_copy(update={"met": met.absolute(), "flux": flux and flux.absolute()})
        chosen = chosen.model_copy(update={"data": tower})
    with output.show_training() as watch:
        if against:
            scores = contest.run_comparison(chosen, out, watch=watch)
        else:
            scores = None
            train_what = arena.train_all if data.is_archive(chosen.data.met) else experiment.train_run
            train_what(chosen, out, watch=watch)
    if scores is not None:
        show_comparison(scores, out)
    elif devices.is_writer():
        output.print_message(f"Trained.\n  fix: bowen evaluate {out}")
        typer.echo(out)


@command
def benchmark(
    config: Annotated[Path, typer.Argument(help="Configuration whose record is an archive of many towers.")],
    out: Annotated[Path, typer.Option(help="Folder for the runs and the scores; one that was interrupted goes on.")],
) -> None:
    """Let models meet on the standard splits of many towers, and tell how they stand."""
    from bowen.experiments import benchmark as arena
    from bowen.experiments import run as experiment

    chosen = experiment.load_config(config)
    with output.show_training() as watch:
        scores = arena.benchmark(chosen, out, watch=watch, say=output.print_message)
    output.show_ranking(arena.ranking_table(scores), out / "scores.csv")


@command
def simulate(
    run: RunFolder,
    met: MetFile = None,
    flux: FluxFile = None,
    site: SiteFile = None,
    kind: TableFormat = None,
    first: Annotated[str | None, typer.Option("--from", help="First year, month or day to write.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last year, month or day to write.")] = None,
    precision: PrecisionOption = None,
    out: Annotated[Path | None, typer.Option(help="NetCDF file; by default in the run directory.")] = None,
) -> None:
    """Run a trained model over its own record or another, and write fluxes, states and parameters as NetCDF."""
    from bowen import data
    from bowen.experiments import run as experiment

    model = experiment.load_run(run, precision)
    dataset = read_record(model, met, flux, site, kind)
    asked = " ".join(f"{flag} {date}" for flag, date in (("--from", first), ("--to", last)) if date)
    wanted = data.select_period(dataset.time.values, first, last, asked)
    simulation = experiment.simulate_run(model, dataset).isel(time=wanted)
    path = out or output_path(run, "simulation.nc", dataset, met)
    typer.echo(data.write_netcdf(data.to_alma(simulation), path))


@command
def evaluate(
    runs: RunFolders,
    met: MetFile = None,
    flux: FluxFile = None,
    site: SiteFile = None,
    kind: TableFormat = None,
    out: Annotated[
        Path | None, typer.Option(help="CSV file for the scores of all parts, half-hourly and daily.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score trained models on measured fluxes: each at its own tower, or all at another."""
    from bowen.evaluation.scores import write_scores
    from bowen.experiments import comparison as contest
    from bowen.experiments import run as experiment

    models = [experiment.load_run(run) for run in runs]
    scores = contest.score_models(
        models, read_record(models[0], met, flux, site, kind) if met or flux or site or kind else None
    )
    if out:
        output.print_message(f"Scores written to {write_scores(scores, out)}")
    if as_json:
        output.show_json(scores.to_dict("records"))
    else:
        output.show_scores(scores)


@command
def audit(
    run: Annotated[Path, typer.Argument(metavar="RUN|FILE", help="A run directory, or a file from `bowen simulate`.")],
    met: MetFile = None,
    flux: FluxFile = None,
    site: SiteFile = None,
    kind: TableFormat = None,
    precision: PrecisionOption = None,
    as_json: AsJson = False,
) -> None:
    """Check that a simulation neither makes nor loses energy or water; exit with 1 if it does."""
    from bowen import data
    from bowen.evaluation import scores as evaluation

    if run.is_file():
        simulation = data.read_simulation(run)
    else:
        from bowen.experiments import run as experiment

        model = experiment.load_run(run, precision)
        simulation = experiment.simulate_run(model, read_record(model, met, flux, site, kind))
    found = evaluation.audit_budgets(simulation)
    if as_json:
        output.show_json(found)
    else:
        output.show_audit(found)
    if not all(found[name] <= limit for name, limit in LARGEST_RESIDUALS.items()):
        output.print_message("bowen: a budget does not close to round-off: the model is at fault.")
        raise typer.Exit(1)


@command
def report(
    runs: RunFolders,
    met: MetFile = None,
    flux: FluxFile = None,
    site: SiteFile = None,
    kind: TableFormat = None,
    out: Annotated[Path | None, typer.Option(help="HTML file; by default in the first run directory.")] = None,
) -> None:
    """Write one self-contained HTML page about a tower and the models run at it."""
    from bowen.experiments import comparison as contest
    from bowen.experiments import run as experiment

    models = [experiment.load_run(run) for run in runs]
    dataset = read_record(models[0], met, flux, site, kind)
    path = out or output_path(runs[0], "report.html", dataset, met)
    typer.echo(contest.write_comparison(contest.compare_models(models, dataset), path))


def show_comparison(scores: Any, folder: Path) -> None:
    """Show what a contest wrote."""
    from bowen import data
    from bowen.evaluation.scores import audit_budgets

    output.show_scores(scores)
    found = audit_budgets(data.read_simulation(folder / "simulation.nc"))
    typer.echo(
        f"Budgets of the hybrid close to {found['energy_residual_max']:.1e} W m-2 "
        f"and {found['water_residual_max']:.1e} kg m-2 s-1 at every step."
    )
    typer.echo("\n".join(f"{folder / name}" for name in ("scores.csv", "report.html", "simulation.nc")))
