"""The command line: each command calls public functions and shows what came of it.

Results go to stdout, all else to stderr. Exit codes: 0 done; 1 the data, a run or the model are at fault; 2 the command
or a configuration is; 130 stopped by the user.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bowen import terminal
from bowen.errors import BowenError, ConfigError, DataError

# Whatever else a command needs it imports itself: `bowen --help` shall not wait for JAX.
if TYPE_CHECKING:
    import xarray as xr

    from bowen.experiment import Run

app = typer.Typer(
    help="A hybrid differentiable land surface model: from a flux tower to a trained model and its report.",
    epilog="Exit codes: 0 done, 1 data, run or model at fault, 2 command or configuration at fault, 130 stopped.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

LARGEST_RESIDUALS = {"energy_residual_max": 1e-2, "water_residual_max": 1e-6}  # round-off of single precision

Folder = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory, made by `bowen train`.")]
Folders = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories, made by `bowen train`.")]
Met = Annotated[Path | None, typer.Option(help="Another tower: its FLUXNET file, or its PLUMBER2 Met file.")]
Flux = Annotated[Path | None, typer.Option(help="The PLUMBER2 Flux file of the tower.")]
Site = Annotated[Path | None, typer.Option(help="TOML file with what the record does not say of its site.")]
Digits = Annotated[Literal["float32", "float64"] | None, typer.Option("--precision", help="Other than trained in.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Register a command; what the user can mend ends in a message and an exit code in place of a traceback."""

    @functools.wraps(function)
    def answered(*arguments: Any, **options: Any) -> None:
        try:
            function(*arguments, **options)
        except BowenError as problem:
            terminal.say(f"bowen: {problem}")
            raise typer.Exit(2 if isinstance(problem, ConfigError) else 1) from problem
        except KeyboardInterrupt as problem:
            terminal.say("\nStopped. What was saved is whole, and the same command goes on from the last checkpoint.")
            raise typer.Exit(130) from problem

    return app.command()(answered)


@app.callback(invoke_without_command=True)
def options(version: Annotated[bool, typer.Option("--version", help="Print the version, and stop.")] = False) -> None:
    """Answer what is not about a command."""
    if version:
        from bowen import __version__

        typer.echo(f"bowen {__version__}")
        raise typer.Exit


@command
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the runs, the scores and the report.")] = Path("runs/demo"),
    file: Annotated[Path | None, typer.Option(help="A FLUXNET file, in place of the one that is fetched.")] = None,
    site: Site = None,
    synthetic: Annotated[bool, typer.Option("--synthetic", help="Train on a record made by the model itself.")] = False,
) -> None:
    """Train calibrated LaD, the hybrid and an LSTM at one tower, and compare them."""
    if synthetic and (file or site):
        raise ConfigError("--synthetic makes its own record: leave out --file and --site.")
    from bowen import contest

    found = None
    with terminal.showing() as watch:
        if synthetic:
            scores, found = contest.twin_demo(out, watch=watch)
        else:
            scores = contest.demo(out, file=file, site=read_site(site), watch=watch, say=terminal.say)
    show_contest(scores, out)
    if found is not None:
        typer.echo(f"Correlation of the found with the true surface resistance (log, by day): {found:.3f}")


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
) -> None:
    """Tell what a record holds; exit with 1 if it cannot drive or train a model."""
    from bowen import data

    dataset = data.read(met, flux, site=read_site(site))
    found = data.summary(dataset)
    problem = None
    try:
        data.check(data.fill_forcing(dataset), need=("latent_heat", "sensible_heat"))
    except DataError as unusable:
        problem = unusable
    if as_json:
        terminal.show_json(found | {"problem": str(problem) if problem else None})
    else:
        terminal.show_summary(found)
    if problem:
        raise problem


@command
def train(
    config: Annotated[Path | None, typer.Argument(help="Configuration, a TOML file.")] = None,
    met: Annotated[Path | None, typer.Option(help="The record's file, in place of the configuration's.")] = None,
    flux: Flux = None,
    out: Annotated[Path | None, typer.Option(help="Run directory; one that was interrupted goes on.")] = None,
    against: Annotated[bool, typer.Option("--contest", help="Train its two rivals as well, and compare.")] = False,
    defaults: Annotated[bool, typer.Option("--defaults", help="Print a file with every setting, and stop.")] = False,
) -> None:
    """Train what a configuration describes, or go on where it was interrupted."""
    if defaults:
        from bowen.config import Config

        typer.echo(Config.defaults(), nl=False)
        return
    if config is None or out is None:
        raise ConfigError(
            "train what, and where to? Name both, as in `bowen train us-me2.toml --out runs/us-me2`.\n"
            "  to begin: `bowen train --defaults` prints a configuration to edit."
        )
    from bowen import contest, experiment

    chosen = experiment.load_config(config)
    if met:
        tower = chosen.tower.model_copy(update={"met": met.absolute(), "flux": flux and flux.absolute()})
        chosen = chosen.model_copy(update={"tower": tower})
    with terminal.showing() as watch:
        if against:
            scores = contest.contest(chosen, out, watch=watch)
        else:
            scores = None
            experiment.train_run(chosen, out, watch=watch)
    if scores is None:
        terminal.say(f"Trained. To go on: bowen evaluate {out}")
        typer.echo(out)
    else:
        show_contest(scores, out)


@command
def simulate(
    run: Folder,
    met: Met = None,
    flux: Flux = None,
    site: Site = None,
    first: Annotated[str | None, typer.Option("--from", help="First year, month or day to write.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last year, month or day to write.")] = None,
    precision: Digits = None,
    out: Annotated[Path | None, typer.Option(help="NetCDF file; by default in the run directory.")] = None,
) -> None:
    """Run a trained model over its own record or another, and write fluxes, states and parameters as NetCDF."""
    from bowen import data, experiment

    model = experiment.load_run(run, precision)
    dataset = read_record(model, met, flux, site)
    asked = " ".join(f"{flag} {date}" for flag, date in (("--from", first), ("--to", last)) if date)
    wanted = data.period(dataset.time.values, first, last, asked)
    simulation = experiment.simulate_run(model, dataset).isel(time=wanted)
    path = out or beside(run, "simulation.nc", dataset, met)
    typer.echo(data.write_netcdf(data.to_alma(simulation), path))


@command
def evaluate(
    runs: Folders,
    met: Met = None,
    flux: Flux = None,
    site: Site = None,
    out: Annotated[
        Path | None, typer.Option(help="CSV file for the scores of all parts, half-hourly and daily.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score trained models on measured fluxes: each at its own tower, or all at another."""
    from bowen import contest, experiment
    from bowen.evaluate import write_scores

    models = [experiment.load_run(run) for run in runs]
    scores = contest.evaluate(models, read_record(models[0], met, flux, site) if met or flux or site else None)
    if out:
        terminal.say(f"Scores written to {write_scores(scores, out)}")
    if as_json:
        terminal.show_json(scores.to_dict("records"))
    else:
        terminal.show_scores(scores)


@command
def audit(
    run: Annotated[Path, typer.Argument(metavar="RUN|FILE", help="A run directory, or a file from `bowen simulate`.")],
    met: Met = None,
    flux: Flux = None,
    site: Site = None,
    precision: Digits = None,
    as_json: Json = False,
) -> None:
    """Check that a simulation neither makes nor loses energy or water; exit with 1 if it does."""
    from bowen import data
    from bowen import evaluate as evaluation

    if run.is_file():
        simulation = data.read_simulation(run)
    else:
        from bowen import experiment

        model = experiment.load_run(run, precision)
        simulation = experiment.simulate_run(model, read_record(model, met, flux, site))
    found = evaluation.audit(simulation)
    if as_json:
        terminal.show_json(found)
    else:
        terminal.show_audit(found)
    if not all(found[name] <= limit for name, limit in LARGEST_RESIDUALS.items()):
        terminal.say("bowen: a budget does not close to round-off: the model is at fault.")
        raise typer.Exit(1)


@command
def report(
    runs: Folders,
    met: Met = None,
    flux: Flux = None,
    site: Site = None,
    out: Annotated[Path | None, typer.Option(help="HTML file; by default in the first run directory.")] = None,
) -> None:
    """Write one self-contained HTML page about a tower and the models run at it."""
    from bowen import contest, experiment

    models = [experiment.load_run(run) for run in runs]
    dataset = read_record(models[0], met, flux, site)
    path = out or beside(runs[0], "report.html", dataset, met)
    typer.echo(contest.report(contest.compare(models, dataset), path))


def read_site(path: Path | None) -> dict[str, Any] | None:
    """What `--site` says."""
    from bowen import data

    return None if path is None else data.read_site(path)


def read_record(run: "Run", met: Path | None, flux: Path | None, site: Path | None) -> "xr.Dataset":
    """The record given on the command line, or else the run's own."""
    from bowen import data, experiment

    if met is not None:
        return experiment.filled(data.read(met, flux, site=read_site(site)), run.config)
    if flux or site:
        raise ConfigError("--flux and --site describe the record of --met: give it too.")
    return experiment.read_tower(run.config)


def beside(run: Path, name: str, dataset: "xr.Dataset", met: Path | None) -> Path:
    """A file in a run directory, with the site in its name if it is about another record."""
    return run / (f"{dataset.attrs['site']}_{name}" if met else name)


def show_contest(scores: Any, folder: Path) -> None:
    """Show what a contest wrote."""
    from bowen import data
    from bowen.evaluate import audit

    terminal.show_scores(scores)
    found = audit(data.read_simulation(folder / "simulation.nc"))
    typer.echo(
        f"Budgets of the hybrid close to {found['energy_residual_max']:.1e} W m-2 "
        f"and {found['water_residual_max']:.1e} kg m-2 s-1 at every step."
    )
    typer.echo("\n".join(f"{folder / name}" for name in ("scores.csv", "report.html", "simulation.nc")))


def main() -> None:
    """Run the command line."""
    app()
