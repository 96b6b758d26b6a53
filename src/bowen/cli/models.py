"""Commands about models: train, simulate, evaluate, audit, report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bowen.cli import output
from bowen.cli.app import (
    AsJson,
    AsUnseen,
    FluxFile,
    MetFile,
    PrecisionOption,
    RunFolder,
    RunFolders,
    SiteFile,
    TableFormat,
    command,
    mention_outdated,
    output_path,
    read_record,
    read_site_option,
    require_suffix,
)
from bowen.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd


@command
def demo_command(
    out: Annotated[Path, typer.Option(help="Folder for the runs, the scores and the report.")] = Path("runs/demo"),
    file: Annotated[Path | None, typer.Option(help="A FLUXNET file, instead of the downloaded one.")] = None,
    site: SiteFile = None,
    synthetic: Annotated[bool, typer.Option("--synthetic", help="Train on a record made by the model itself.")] = False,
) -> None:
    """Train calibrated LaD, the hybrid and an LSTM at one tower, and compare them."""
    if synthetic and (file or site):
        raise ConfigError("--synthetic", "makes its own record", fix="leave out --file and --site.")
    from bowen.experiments import comparison

    found = None
    with output.show_training() as watch:
        if synthetic:
            scores, found = comparison.run_twin_demo(out, watch=watch)
        else:
            site_metadata = read_site_option(site)
            scores = comparison.run_demo(out, file=file, site=site_metadata, watch=watch, say=output.print_message)
    show_comparison(scores, out)
    if found is not None:
        output.print_result(f"Correlation of the learned with the true stomatal resistance (log, by day): {found:.3f}")


@command
def train_command(
    config: Annotated[Path | None, typer.Argument(help="Configuration, a TOML file.")] = None,
    met: Annotated[Path | None, typer.Option(help="File of the record, instead of the configuration's.")] = None,
    flux: FluxFile = None,
    out: Annotated[Path | None, typer.Option(help="Run directory; an interrupted training is resumed.")] = None,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Train calibrated LaD, the hybrid and an LSTM, and compare them.")
    ] = False,
    distributed: Annotated[bool, typer.Option("--distributed", help="Train as one of several processes.")] = False,
    defaults: Annotated[bool, typer.Option("--defaults", help="Print a file with every setting, and stop.")] = False,
) -> None:
    """Train the model of a configuration, or resume its training.

    A finished training continues if `updates` in the configuration was raised: patience begins anew, and the learning
    rate follows the schedule of the new number of updates.
    """
    if defaults:
        from bowen.config.schema import Config

        output.print_result(Config.defaults().rstrip())
        return
    if config is None or out is None:
        raise ConfigError(
            "bowen train",
            "needs a configuration and a run directory, as in `bowen train us-me2.toml --out runs/us-me2`",
            fix="`bowen train --defaults` prints a configuration to edit.",
        )
    from bowen import data
    from bowen.experiments.benchmark import train_all
    from bowen.experiments.comparison import run_comparison
    from bowen.experiments.run import load_config, train_run
    from bowen.training import devices

    if distributed and baselines:
        raise ConfigError("--distributed", "trains one model", fix="leave out --baselines.")
    if distributed:
        devices.join_processes()
    chosen = load_config(config)
    if met:
        record = chosen.data.model_copy(update={"met": met.absolute(), "flux": flux and flux.absolute()})
        chosen = chosen.model_copy(update={"data": record})
    is_of_many = data.is_archive(chosen.data.met)
    if baselines and is_of_many:
        raise ConfigError(
            "--baselines",
            f"compares models at one tower, and {chosen.data.met.name} is an archive of many",
            fix=f"bowen benchmark {config} --out {out}",
        )
    if is_of_many:
        mention_outdated(chosen.data.met)
    with output.show_training() as watch:
        if baselines:
            scores = run_comparison(chosen, out, watch=watch)
        else:
            scores = None
            (train_all if is_of_many else train_run)(chosen, out, watch=watch)
    if scores is not None:
        show_comparison(scores, out)
    elif devices.is_writer():
        output.print_message(f"Trained. Next: bowen evaluate {out}")
        output.print_result(out)


@command
def benchmark_command(
    config: Annotated[Path, typer.Argument(help="Configuration whose record is an archive of many towers.")],
    out: Annotated[Path, typer.Option(help="Folder for runs and scores; an interrupted benchmark is resumed.")],
) -> None:
    """Train and rank models on a standard split of many towers."""
    from bowen.experiments.benchmark import ranking_table, run_benchmark
    from bowen.experiments.run import load_config

    chosen = load_config(config)
    mention_outdated(chosen.data.met)
    with output.show_training() as watch:
        scores = run_benchmark(chosen, out, watch=watch, say=output.print_message)
    output.show_ranking(ranking_table(scores), out / "scores.csv")


@command
def simulate_command(
    run: RunFolder,
    met: MetFile = None,
    flux: FluxFile = None,
    site: SiteFile = None,
    kind: TableFormat = None,
    first: Annotated[str | None, typer.Option("--from", help="First year, month or day to write.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last year, month or day to write.")] = None,
    precision: PrecisionOption = None,
    as_unseen: AsUnseen = False,
    out: Annotated[Path | None, typer.Option(help="NetCDF file; by default in the run directory.")] = None,
) -> None:
    """Run a trained model over its own record or another, and write fluxes, states and parameters as NetCDF."""
    from bowen import data
    from bowen.experiments.run import describe_training, load_run, simulate_run

    require_suffix(out, "--out", "NetCDF", ".nc", ".nc4")
    model = load_run(run, precision)
    dataset = read_record(model, met, flux, site, kind)
    output.print_message(describe_training(model, dataset, as_unseen=as_unseen))
    asked = " ".join(f"{flag} {date}" for flag, date in (("--from", first), ("--to", last)) if date)
    wanted = data.select_period(dataset.time.values, first, last, asked)
    simulation = simulate_run(model, dataset, as_unseen=as_unseen).isel(time=wanted)
    path = out or output_path(run, "simulation.nc", dataset, met)
    output.print_result(data.write_netcdf(data.to_alma(simulation), path))


@command
def evaluate_command(
    runs: RunFolders,
    met: MetFile = None,
    flux: FluxFile = None,
    site: SiteFile = None,
    kind: TableFormat = None,
    as_unseen: AsUnseen = False,
    out: Annotated[
        Path | None, typer.Option(help="CSV file for the scores of all parts, half-hourly and daily.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score trained models on measured fluxes: each at its own tower, or all at another."""
    from bowen.evaluation.scores import write_scores
    from bowen.experiments.comparison import describe_trainings, score_models, title_models
    from bowen.experiments.run import load_run

    require_suffix(out, "--out", "scores as CSV", ".csv")
    models = [load_run(run) for run in runs]
    record = read_record(models[0], met, flux, site, kind) if met or flux or site or kind else None
    for text in describe_trainings(title_models(models), record, as_unseen=as_unseen):
        output.print_message(text)
    scores = score_models(models, record, as_unseen=as_unseen)
    if out:
        output.print_message(f"Scores written to {write_scores(scores, out)}")
    if as_json:
        output.show_json(scores.to_dict("records"))
    else:
        show_test_scores(scores)


@command
def audit_command(
    run: Annotated[Path, typer.Argument(metavar="RUN|FILE", help="A run directory, or a file from `bowen simulate`.")],
    met: MetFile = None,
    flux: FluxFile = None,
    site: SiteFile = None,
    kind: TableFormat = None,
    precision: PrecisionOption = None,
    as_json: AsJson = False,
) -> None:
    """Check that a simulation conserves energy and water; exit with 1 if it does not."""
    from bowen import data
    from bowen.evaluation.scores import MAX_ENERGY_RESIDUAL, MAX_WATER_RESIDUAL, audit_budgets, step_seconds

    if run.is_file():
        simulation = data.read_simulation(run)
    else:
        from bowen.experiments.run import load_run, simulate_run

        model = load_run(run, precision)
        simulation = simulate_run(model, read_record(model, met, flux, site, kind))
    found = audit_budgets(simulation)
    if as_json:
        output.show_json(found)
    else:
        output.show_audit(found)
    energy, water = MAX_ENERGY_RESIDUAL["float32"], MAX_WATER_RESIDUAL["float32"] / step_seconds(simulation)
    limits = {"energy_residual_max": energy, "energy_closure_max": energy, "water_residual_max": water}
    if not all(found[name] <= limit for name, limit in limits.items()):
        output.print_message("bowen: a budget does not close to round-off: the model is at fault.")
        raise typer.Exit(1)


@command
def report_command(
    runs: RunFolders,
    met: MetFile = None,
    flux: FluxFile = None,
    site: SiteFile = None,
    kind: TableFormat = None,
    as_unseen: AsUnseen = False,
    out: Annotated[Path | None, typer.Option(help="HTML file; by default in the first run directory.")] = None,
) -> None:
    """Write one self-contained HTML page about a tower and the models run at it."""
    from bowen.experiments.comparison import compare_models, write_comparison
    from bowen.experiments.run import load_run

    require_suffix(out, "--out", "a page in HTML", ".html", ".htm")
    models = [load_run(run) for run in runs]
    dataset = read_record(models[0], met, flux, site, kind)
    path = out or output_path(runs[0], "report.html", dataset, met)
    output.print_result(write_comparison(compare_models(models, dataset, as_unseen=as_unseen), path))


def show_comparison(scores: "pd.DataFrame", folder: Path) -> None:
    """Print the results of a comparison, and where they are."""
    from bowen import data
    from bowen.evaluation.scores import audit_budgets

    show_test_scores(scores)
    found = audit_budgets(data.read_simulation(folder / "simulation.nc"))
    output.print_result(
        f"Budgets of the hybrid close to {found['energy_residual_max']:.1e} W m-2 "
        f"and {found['water_residual_max']:.1e} kg m-2 s-1 at every step."
    )
    output.print_result("\n".join(f"{folder / name}" for name in ("scores.csv", "report.html", "simulation.nc")))


def show_test_scores(scores: "pd.DataFrame") -> None:
    """Print the scores of the test steps; say which models have none."""
    tested = scores.loc[scores["split"] == "test"]
    if len(tested):
        output.show_scores(scores)
    keys: list[Any] = scores[["tower", "model"]].drop_duplicates().to_numpy().tolist()
    for tower, model in keys:
        if not len(tested[(tested["tower"] == tower) & (tested["model"] == model)]):
            output.print_message(
                f"{tower}, {model}: no test steps; all steps of this record trained or validated the model.\n"
                "  To test it, give another tower or other years with --met. Scores in training: --out or --json."
            )
