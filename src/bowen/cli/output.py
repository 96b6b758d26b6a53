"""What people see in a terminal: results as tables on stdout, progress and messages on stderr."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import rich.box
import rich.console
import rich.progress
import rich.table
import rich.text

if TYPE_CHECKING:
    import pandas as pd

    from bowen.config.schema import Config
    from bowen.experiments.run import TrainingWatch
    from bowen.training.trainer import ValidationRow

SYMBOLS = {"latent_heat": "LE", "sensible_heat": "H"}
SHOWN = SYMBOLS | {"runoff": "runoff", "snow_water": "snow"}  # while training
MARKS = {"good": ("green", "✓"), "doubt": ("yellow", "!"), "bad": ("red", "✗"), "unknown": ("dim", "?")}
# Columns that read from the left.
TEXT = ("tower", "model", "variable", "metric", "units", "budget", "filled with", "site", "class", "name", "record")
WIDEST = 160  # of a table that no terminal bounds
SECONDS_BETWEEN_LINES = 10


def print_message(text: str) -> None:
    """Tell people something, on stderr."""
    rich.console.Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)


def show_json(content: Any) -> None:
    """Print what a machine may read; numbers that are undefined are null."""
    print(json.dumps(json.loads(json.dumps(content), parse_constant=lambda _: None), indent=1))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, numbers to the right."""
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in columns:
        side = "left" if name in TEXT else "right"
        table.add_column(name, justify=side, no_wrap=name in TEXT, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = rich.console.Console(highlight=False, markup=False)
    least = console.measure(table, options=console.options.update(max_width=WIDEST)).minimum
    console.width = max(console.width, least) if console.is_terminal else WIDEST
    console.print(table)


def show_ranking(standings: "pd.DataFrame", path: Any) -> None:
    """Print how contestants stand, a column for each."""
    numbers = zip(standings.columns, standings.to_numpy().T, strict=True)
    rows = [[head, *(f"{value:.2f}" for value in values)] for head, values in numbers]
    show_table(["variable", *map(str, standings.index)], rows)
    print_message(f"Medians and worst quarters over towers; RMSE in W m-2. All scores: {path}")


def show_medians(medians: "pd.DataFrame", path: Any) -> None:
    """Print the medians over places of what was never shown, a row for a number and a column for a model."""
    numbers = (["-" if value != value else f"{value:.3g}" for value in row] for row in medians.to_numpy())
    rows = [[*map(str, index), *row] for index, row in zip(medians.index, numbers, strict=True)]
    show_table(["variable", "metric", *map(str, medians.columns)], rows)
    print_message(f"Medians over the places that all models are judged at. All numbers: {path}")


def show_scores(scores: "pd.DataFrame") -> None:
    """Print the scores of the test steps."""
    from bowen.evaluation.scores import score_table

    laid = score_table(scores)
    chosen = [(target, metric) for target in SYMBOLS for metric in ("nse", "kge", "rmse")]
    heads = [f"{SYMBOLS[target]} {metric.upper()}" for target, metric in chosen]
    scored = zip(laid.index.to_list(), laid[chosen].to_numpy(), strict=True)
    rows = [[*map(str, index), *(f"{score:.2f}" for score in row)] for index, row in scored]
    show_table(["tower", "model", *heads], rows)
    print("Measured steps of the test part; RMSE in W m-2.")


def show_audit(found: dict[str, Any]) -> None:
    """Print how well the budgets close."""
    rows = [
        [name, f"{found[f'{name}_residual_max']:.2e}", found[f"{name}_residual_max_time"].replace("T", " "), unit]
        for name, unit in (("energy", "W m-2"), ("water", "kg m-2 s-1"))
    ]
    show_table(["budget", "largest residual", "at", "units"], rows)
    supplied = found["precipitation"] + found["external_supply"]
    print(
        f"Over the record, in kg m-2: {supplied:.1f} supplied, {found['evapotranspiration']:.1f} evaporated, "
        f"{found['runoff']:.1f} run off, {found['storage_change']:.1f} stored; {found['water_closure']:.1e} left over."
    )


def show_summary(found: dict[str, Any]) -> None:
    """Print what a record holds."""
    site = found["site"]
    first, last = (stamp.replace("T", " ") for stamp in found["period"])
    print(f"{site['site']}: {site['source']}, {first} to {last}, {found['steps']} steps")
    print(", ".join(f"{name} {value}" for name, value in site.items() if name not in ("site", "source")))
    rows = [
        [
            entry["name"],
            entry["units"],
            *(f"{entry[share]:.0%}" for share in ("measured", "filled", "missing")),
            *("-" if entry[name] is None else f"{entry[name]:.4g}" for name in ("minimum", "mean", "maximum")),
            ", ".join(
                f"{origin.replace('_', ' ')} {share:.0%}"
                for origin, share in entry["quality"].items()
                if origin not in ("measured", "missing") and share >= 0.005
            ),
        ]
        for entry in found["variables"]
    ]
    show_table(
        ["variable", "units", "measured", "filled", "missing", "minimum", "mean", "maximum", "filled with"], rows
    )
    show_verdicts(found["verdicts"])
    show_closure(found["energy_balance"]["parts"])
    for sentence in found["assumptions"]:
        print(f"- {sentence}")


def show_verdicts(verdicts: list[dict[str, str]]) -> None:
    """Print what is good and what is doubtful about a record, one sentence a row."""
    table = rich.table.Table.grid(padding=(0, 2, 0, 0))
    for verdict in verdicts:
        color, mark = MARKS[verdict["mark"]]
        sentence = rich.text.Text(verdict["sentence"])
        table.add_row(rich.text.Text(mark, style=color), rich.text.Text(verdict["about"], style="bold"), sentence)
    console = rich.console.Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDEST
    console.print(table)


def show_closure(parts: dict[str, dict[str, Any]]) -> None:
    """Print how the energy balance closes by day and season."""
    told = {name: part["ratio"] for name, part in parts.items() if part["ratio"] is not None}
    if told:
        print("- Closure: " + ", ".join(f"{name} {ratio:.2f}" for name, ratio in told.items()) + ".")


def show_sites(found: Sequence[dict[str, Any]]) -> None:
    """Print sites of the catalogue."""
    columns = (
        ("distance km", "distance", "{:.0f}", 0.0),
        ("latitude", "latitude", "{:.3f}", 0.0),
        ("longitude", "longitude", "{:.3f}", 0.0),
        ("elevation m", "elevation", "{:.0f}", 0.0),
        ("canopy m", "canopy_height", "{:.1f}", 0.0),
        ("mean °C", "mean_annual_temperature", "{:.1f}", -273.15),
        ("rain mm", "annual_precipitation", "{:.0f}", 0.0),
    )
    shown = [column for column in columns if any(column[1] in entry for entry in found)]
    rows = [
        [
            entry["site"],
            entry.get("igbp", "-"),
            *(form.format(entry[key] + add) if key in entry else "-" for _, key, form, add in shown),
            ", ".join(entry[key] for key in ("name", "country") if key in entry),
        ]
        for entry in found
    ]
    show_table(["site", "class", *(head for head, *_ in shown), "name"], rows)


@contextlib.contextmanager
def show_downloads() -> Iterator[Callable[[str, int, int | None], None]]:
    """A function that shows how downloads go: a bar for each in a terminal, else nothing."""
    console = rich.console.Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda name, here, total: None
        return
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(bar_width=24),
        rich.progress.DownloadColumn(),
        rich.progress.TransferSpeedColumn(),
        rich.progress.TimeRemainingColumn(),
    )
    with rich.progress.Progress(*columns, console=console) as bars:
        tasks: dict[str, rich.progress.TaskID] = {}

        def watch(name: str, here: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=here, total=total)

        yield watch


@contextlib.contextmanager
def show_training() -> "Iterator[TrainingWatch]":
    """A function that shows how training goes: bars in a terminal, else now and then a line."""
    console = rich.console.Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield training_lines()
        return
    columns = (
        rich.progress.SpinnerColumn(),
        rich.progress.TextColumn("{task.description:<14}"),
        rich.progress.BarColumn(bar_width=24),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TextColumn("{task.fields[news]}"),
    )
    with rich.progress.Progress(*columns, console=console) as bars:
        tasks: dict[str, rich.progress.TaskID] = {}

        def watch(config: "Config", history: "tuple[ValidationRow, ...]") -> None:
            name, done = title(config), history[-1].step + 1 if history else 0
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=config.training.updates, news="")
            bars.update(tasks[name], completed=done, news=training_status(config, history))

        yield watch


def training_lines() -> "TrainingWatch":
    """A function that prints the first news of a training, and then not more than a line in some seconds."""
    said: dict[str, float] = {}

    def watch(config: "Config", history: "tuple[ValidationRow, ...]") -> None:
        name, now = title(config), time.monotonic()
        if name not in said or now - said[name] >= SECONDS_BETWEEN_LINES or is_last(config, history):
            said[name] = now
            done = f"update {history[-1].step + 1} of {config.training.updates}, " if history else ""
            print_message(f"{name}: {done}{training_status(config, history)}")

    return watch


def is_last(config: "Config", history: "tuple[ValidationRow, ...]") -> bool:
    """Whether a training has made all its updates."""
    return bool(history) and history[-1].step + 1 == config.training.updates


def title(config: "Config") -> str:
    """The name of what is trained."""
    from bowen.experiments.run import title_of  # here, because it brings JAX, and most commands do without

    return title_of(config)


def training_status(config: "Config", history: "tuple[ValidationRow, ...]") -> str:
    """Loss, skill and time left of a training, in a line."""
    if not history:
        return "compiling and spinning up, which takes up to a minute"
    last, first = history[-1], history[0]
    by_target = {symbol: getattr(last, f"validation_{name}") for name, symbol in SHOWN.items()}
    text = f"loss {last.loss:.3f}, validation NSE "
    text += " ".join(f"{symbol} {value:.3f}" for symbol, value in by_target.items() if value == value)
    left = config.training.updates - 1 - last.step
    if last.step == first.step or left <= 0:
        return text
    seconds = left * (last.seconds - first.seconds) / (last.step - first.step)
    return f"{text}, at most {seconds / 60:.0f} min left" if seconds > 90 else f"{text}, at most {seconds:.0f} s left"
