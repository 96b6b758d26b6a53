"""Terminal output: results as tables on stdout, progress and messages on stderr, without control characters."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import rich.box
import rich.console
import rich.markup
import rich.progress
import rich.table
import rich.text

from bowen.errors import printable

if TYPE_CHECKING:
    import pandas as pd

    from bowen.config.schema import Config
    from bowen.experiments.run import TrainingWatch
    from bowen.training.trainer import ValidationRow

VERDICT_COLORS = {"good": "green", "doubt": "yellow", "bad": "red", "unknown": "dim"}
LEFT_ALIGNED = (
    "tower",
    "model",
    "variable",
    "metric",
    "units",
    "budget",
    "filled with",
    "site",
    "class",
    "name",
    "record",
)
MAX_TABLE_WIDTH = 160  # characters, where the output is no terminal
MIN_SECONDS_BETWEEN_LINES = 10


def print_message(text: str) -> None:
    """Print a message on stderr."""
    rich.console.Console(stderr=True).print(printable(text), markup=False, highlight=False, soft_wrap=True)


def print_result(text: object) -> None:
    """Print lines on stdout."""
    print(printable(str(text)))


def show_json(content: Any) -> None:
    """Print JSON, with null for undefined numbers."""
    print_result(json.dumps(json.loads(json.dumps(content), parse_constant=lambda _: None), indent=1))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table with right-aligned numbers."""
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in columns:
        side = "left" if name in LEFT_ALIGNED else "right"
        table.add_column(printable(name), justify=side, no_wrap=name in LEFT_ALIGNED, overflow="fold")
    for row in rows:
        table.add_row(*map(printable, row))
    console = rich.console.Console(highlight=False, markup=False)
    least = console.measure(table, options=console.options.update(max_width=MAX_TABLE_WIDTH)).minimum
    console.width = max(console.width, least) if console.is_terminal else MAX_TABLE_WIDTH
    console.print(table)


def show_ranking(ranking: "pd.DataFrame", path: Any) -> None:
    """Print a ranking of models, a column for each."""
    numbers = zip(ranking.columns, ranking.to_numpy().T, strict=True)
    rows = [[head, *(f"{value:.2f}" for value in values)] for head, values in numbers]
    show_table(["variable", *map(str, ranking.index)], rows)
    print_message(f"Medians and worst quarters over towers; RMSE in W m-2. All scores: {path}")


def show_medians(medians: "pd.DataFrame", path: Any) -> None:
    """Print the medians over sites of unseen variables, a row for each metric and a column for each model."""
    numbers = (["-" if value != value else f"{value:.3g}" for value in row] for row in medians.to_numpy())
    rows = [[*map(str, index), *row] for index, row in zip(medians.index, numbers, strict=True)]
    show_table(["variable", "metric", *map(str, medians.columns)], rows)
    print_message(f"Medians over the sites where all models are evaluated. All numbers: {path}")


def show_scores(scores: "pd.DataFrame") -> None:
    """Print the scores of the test steps."""
    # Imported here, because most commands do without.
    from bowen.evaluation.metrics import METRICS
    from bowen.evaluation.scores import score_table
    from bowen.reporting.wording import FLUX_SYMBOLS

    wide = score_table(scores)
    metrics = [metric for metric in METRICS.values() if "terminal" in metric.tables]
    columns = [(target, metric) for target in FLUX_SYMBOLS for metric in metrics if (target, metric.name) in wide]
    chosen = wide[[(target, metric.name) for target, metric in columns]]
    heads = [f"{FLUX_SYMBOLS[target]} {metric.label}" for target, metric in columns]
    rows = [
        [*map(str, index), *(f"{score:.{metric.digits}f}" for score, (_, metric) in zip(row, columns, strict=True))]
        for index, row in zip(chosen.index.to_list(), chosen.to_numpy(), strict=True)
    ]
    show_table(["tower", "model", *heads], rows)
    print_result("Steps of the test split whose flux is flagged as measured; RMSE in W m-2.")


def show_audit(found: dict[str, Any]) -> None:
    """Print the residuals and totals of the budgets."""
    rows = [
        [label, f"{found[f'{name}_max']:.2e}", found[f"{name}_max_time"].replace("T", " "), unit]
        for label, name, unit in (
            ("energy", "energy_residual", "W m-2"),
            ("energy, Rnet - Qle - Qh - Qg - Qf", "energy_closure", "W m-2"),
            ("water", "water_residual", "kg m-2 s-1"),
        )
    ]
    show_table(["budget", "largest residual", "at", "units"], rows)
    supplied = found["precipitation"] + found["external_water"]
    print_result(
        f"Over the record, in kg m-2: {supplied:.1f} supplied, {found['evapotranspiration']:.1f} evaporated, "
        f"{found['runoff']:.1f} run off, {found['storage_change']:.1f} stored; residual {found['water_closure']:.1e}."
    )


def show_summary(found: dict[str, Any]) -> None:
    """Print the summary of a record, in the units of the field."""
    from bowen.reporting.wording import ASCII_SCRIPTS, to_display_statistics  # here, because most commands do without

    site = found["site"]
    first, last = (stamp.replace("T", " ") for stamp in found["period"])
    print_result(f"{site['site']}: {site['source']}, {first} to {last}, {found['steps']} steps")
    print_result(", ".join(f"{name} {value}" for name, value in site.items() if name not in ("site", "source")))
    rows = [
        [
            entry["name"],
            unit.translate(ASCII_SCRIPTS) or "1",
            *(f"{entry[share]:.0%}" for share in ("measured", "filled", "missing")),
            *("-" if number is None else f"{number:.4g}" for number in numbers),
            ", ".join(
                f"{origin.replace('_', ' ')} {share:.0%}"
                for origin, share in entry["quality"].items()
                if origin not in ("measured", "missing") and share >= 0.005
            ),
        ]
        for entry in found["variables"]
        for numbers, unit in [to_display_statistics(entry)]
    ]
    show_table(
        ["variable", "units", "measured", "filled", "missing", "minimum", "mean", "maximum", "filled with"], rows
    )
    show_verdicts(found["verdicts"])
    show_closure(found["energy_balance"]["parts"])
    for sentence in found["assumptions"]:
        print_result(f"- {sentence}")


def show_verdicts(verdicts: list[dict[str, str]]) -> None:
    """Print the verdicts on a record, one sentence for each row."""
    from bowen.reporting.wording import VERDICT_MARKS  # here, because most commands do without

    table = rich.table.Table.grid(padding=(0, 2, 0, 0))
    for verdict in verdicts:
        color, mark = VERDICT_COLORS[verdict["mark"]], VERDICT_MARKS[verdict["mark"]]
        sentence = rich.text.Text(printable(verdict["sentence"]))
        table.add_row(rich.text.Text(mark, style=color), rich.text.Text(verdict["about"], style="bold"), sentence)
    console = rich.console.Console(highlight=False)
    if not console.is_terminal:
        console.width = MAX_TABLE_WIDTH
    console.print(table)


def show_closure(parts: dict[str, dict[str, Any]]) -> None:
    """Print the ratio of energy balance closure by day and season."""
    ratios = {name: part["ratio"] for name, part in parts.items() if part["ratio"] is not None}
    if ratios:
        print_result("- Closure: " + ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items()) + ".")


def show_sites(found: Sequence[dict[str, Any]]) -> None:
    """Print sites of the catalog."""
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
    """Provide a callback that shows the progress of downloads as bars, in a terminal only."""
    console = rich.console.Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda name, received, total: None
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

        def watch(name: str, received: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(rich.markup.escape(printable(name)), total=total)
            bars.update(tasks[name], completed=received, total=total)

        yield watch


@contextlib.contextmanager
def show_training() -> "Iterator[TrainingWatch]":
    """Provide a callback that shows the progress of training: bars in a terminal, else occasional lines."""
    console = rich.console.Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield print_training_lines()
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
            name, done = training_title(config), history[-1].step + 1 if history else 0
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=config.training.updates, news="")
            bars.update(tasks[name], completed=done, news=training_status(config, history))

        yield watch


def print_training_lines() -> "TrainingWatch":
    """Return a callback that prints the progress of training, at most one line in ten seconds."""
    last_printed: dict[str, float] = {}

    def watch(config: "Config", history: "tuple[ValidationRow, ...]") -> None:
        name, now = training_title(config), time.monotonic()
        if (
            name not in last_printed
            or now - last_printed[name] >= MIN_SECONDS_BETWEEN_LINES
            or is_complete(config, history)
        ):
            last_printed[name] = now
            done = f"update {history[-1].step + 1} of {config.training.updates}, " if history else ""
            print_message(f"{name}: {done}{training_status(config, history)}")

    return watch


def is_complete(config: "Config", history: "tuple[ValidationRow, ...]") -> bool:
    """Return True if a training has made all its updates."""
    return bool(history) and history[-1].step + 1 == config.training.updates


def training_title(config: "Config") -> str:
    """Return the title of the run of a configuration."""
    from bowen.experiments.run import title_of  # here, because it brings JAX, and most commands do without

    return title_of(config)


def training_status(config: "Config", history: "tuple[ValidationRow, ...]") -> str:
    """Return the loss, validation skill and remaining time of a training in one line."""
    from bowen.reporting.wording import FLUX_SYMBOLS  # here, because most commands do without

    if not history:
        return "compiling and spinning up, which takes up to a minute"
    last, first = history[-1], history[0]
    symbols = FLUX_SYMBOLS | {"runoff": "runoff", "snow_water": "snow"}
    by_target = {symbol: getattr(last, f"validation_{name}") for name, symbol in symbols.items()}
    text = f"loss {last.loss:.3f}, validation NSE "
    text += " ".join(f"{symbol} {value:.3f}" for symbol, value in by_target.items() if value == value)
    left = config.training.updates - 1 - last.step
    if last.step == first.step or left <= 0:
        return text
    seconds = left * (last.seconds - first.seconds) / (last.step - first.step)
    return f"{text}, at most {seconds / 60:.0f} min left" if seconds > 90 else f"{text}, at most {seconds:.0f} s left"
