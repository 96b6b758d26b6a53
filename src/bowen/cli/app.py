"""Application of the command line: options that commands share, and how their errors end."""

import contextlib
import functools
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bowen.cli import output
from bowen.errors import BowenError, ConfigError
from bowen.files import file_name

# Each command imports whatever else it needs: `bowen --help` shall not wait for JAX.
if TYPE_CHECKING:
    import xarray as xr

    from bowen.experiments.run import Run

app = typer.Typer(
    help="A hybrid differentiable land surface model: from a flux tower to a trained model and its report.",
    epilog="Exit codes: 0 done, 1 data, run or model at fault, 2 command or configuration at fault, 130, 143 stopped.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory, made by `bowen train`.")]
RunFolders = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories, made by `bowen train`.")]
MetFile = Annotated[Path | None, typer.Option(help="Another record: its file, .zip or folder.")]
FluxFile = Annotated[Path | None, typer.Option(help="File of the fluxes, if they have one of an unusual name.")]
TableFormat = Annotated[
    str | None, typer.Option("--format", help="Format of a text table: a name or a TOML file; see `formats`.")
]
SiteFile = Annotated[Path | None, typer.Option(help="TOML file with site metadata that the record lacks.")]
DailyFolder = Annotated[Path | None, typer.Option(help="Folder of daily fluxes for towers without their own.")]
PrecisionOption = Annotated[
    Literal["float32", "float64"] | None, typer.Option("--precision", help="Precision, if not that of training.")
]
AsUnseen = Annotated[
    bool, typer.Option("--as-unseen", help="Simulate sites trained on as unseen ones, without their own parameters.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class _Terminated(KeyboardInterrupt):
    """Stop by SIGTERM, as batch systems and containers send it."""


def _raise_terminated(number: int, frame: Any) -> None:
    raise _Terminated


@contextlib.contextmanager
def _stop_at_sigterm() -> Iterator[None]:
    """Let SIGTERM stop a command as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():  # which alone may set it
        yield
        return
    before = signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Register a function named NAME_command as the command NAME.

    An error that the user can correct ends in a message and an exit code instead of a traceback.
    """

    @functools.wraps(function)
    def run_command(*arguments: Any, **options: Any) -> None:
        try:
            with _stop_at_sigterm():
                function(*arguments, **options)
        except BowenError as problem:
            output.print_message(f"bowen: {problem}")
            raise typer.Exit(2 if isinstance(problem, ConfigError) else 1) from problem
        except KeyboardInterrupt as problem:
            output.print_message(
                "\nStopped. All files are whole, and the same command resumes from the last checkpoint."
            )
            raise typer.Exit(143 if isinstance(problem, _Terminated) else 130) from problem

    return app.command(function.__name__.removesuffix("_command"))(run_command)


@app.callback(invoke_without_command=True)
def show_version(
    version: Annotated[bool, typer.Option("--version", help="Print the version, and stop.")] = False,
) -> None:
    """Print the version if asked to."""
    if version:
        from bowen import __version__

        output.print_result(f"bowen {__version__}")
        raise typer.Exit


def require_suffix(path: Path | None, option: str, content: str, *suffixes: str) -> None:
    """Refuse an output file whose name says that it is of another kind, before anything is computed."""
    if path is not None and path.suffix.lower() not in suffixes:
        raise ConfigError(option, f"writes {content}, and not {path.name}", fix=f"end its name in {suffixes[0]}")


def read_site_option(path: Path | None) -> dict[str, Any] | None:
    """Read the file given by `--site`, if any."""
    from bowen import data

    return None if path is None else data.read_site_file(path)


def read_record(
    run: "Run", met: Path | None, flux: Path | None, site: Path | None, kind: str | None = None
) -> "xr.Dataset":
    """Read the record given on the command line, or else the run's own."""
    from bowen import data
    from bowen.experiments.run import prepare_record, read_configured_record

    if met is not None:
        return prepare_record(data.read(met, flux, site=read_site_option(site), kind=kind), run.config)
    if flux or site or kind:
        raise ConfigError(
            "--flux, --site and --format", "describe the record of --met, which is missing", fix="give --met as well."
        )
    return read_configured_record(run.config)


def mention_outdated(archive: Path) -> None:
    """Print a message if records of an archive hold estimates of an earlier version."""
    from bowen import data

    if message := data.describe_outdated(archive):
        output.print_message(message)


def output_path(run: Path, name: str, dataset: "xr.Dataset", met: Path | None) -> Path:
    """Name a file in a run directory, with the site in its name if it is about another record."""
    return run / (file_name(f"{dataset.attrs['site']}_{name}") if met else name)
