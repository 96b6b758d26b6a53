"""What can be set: typed models for a TOML file, in which a setting we do not know is an error."""

import difflib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic

from bowen.config.split import Blocks, Period, Periods, Split
from bowen.config.tables import Table, lines, setting, toml_value
from bowen.errors import ConfigError

DYNAMIC = ("surface_resistance", "roughness_ratio_log", "ground_albedo", "thermal_conductivity")
STATIC = ("root_capacity", "critical_saturation", "vegetation_heat_capacity")

Precision = Literal["float32", "float64"]
SoilClass = Literal["C", "M", "F", "CM", "CF", "MF", "CMF", "P"]
VegetationClass = Literal[
    "ENF", "EBF", "DNF", "DBF", "MF", "CSH", "OSH", "WSA", "SAV", "GRA", "WET", "CRO", "URB", "CVM", "SNO", "BSV", "WAT"
]


def _anchor(path: Path, info: pydantic.ValidationInfo) -> Path:
    """Read a path relative to the folder of the file that names it."""
    folder = (info.context or {}).get("folder", Path())
    return folder / path.expanduser()


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a list that names a thing twice."""
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"names {', '.join(repeated)} more than once")
    return names


def _anchor_file(name: str, info: pydantic.ValidationInfo) -> str:
    """Read what ends in .toml as a path, anything else as a name."""
    return str(_anchor(Path(name), info)) if name.endswith(".toml") else name


File = Annotated[Path, pydantic.AfterValidator(_anchor)]
Kind = Annotated[str, pydantic.AfterValidator(_anchor_file)]
Names = Annotated[tuple[str, ...], pydantic.AfterValidator(_distinct)]


class Tower(Table):
    """Where the record of a tower lies, and what its files do not say about the site."""

    met: File = setting(
        ...,
        "Weather, or all there is: a file, a network's .zip, a folder with one tower's files, or an archive of many",
    )
    leave_out: Names = setting((), "Records of an archive that are left out, by site or with their years")
    basin_days: Period | None = setting(None, "First and last day that are used of the daily records of an archive")
    flux: File | None = setting(None, "Fluxes, where they have a file of their own; found if it is named as usual")
    format: Kind | None = setting(None, "Kind of text table, by name or as a TOML file; recognized if it is not given")
    radiation: Literal["balance", "prescribed", "either"] = setting(
        "balance", "Net radiation by balance of both streams, as measured, or as measured wherever a tower has it"
    )
    closure: Literal["raw", "corrected", "observed-through", "measured"] = setting(
        "raw",
        "Fluxes to meet: as measured, or with their energy balance closed; or as measured by a share of those of the "
        "model, which is learned, or told by the energy balance and at other towers the mean of those trained on",
    )
    site: str | None = setting(None, "Name of the site, in place of the file's")
    latitude: float | None = setting(None, "Latitude [degrees_north]", ge=-90, le=90)
    longitude: float | None = setting(None, "Longitude [degrees_east]", ge=-180, le=180)
    elevation: float | None = setting(None, "Height of the ground above the sea [m]", ge=-500, le=6000)
    utc_offset_hours: float | None = setting(None, "Local standard time minus UTC [h]", ge=-12, le=14)
    igbp: VegetationClass | None = setting(None, "IGBP class, which chooses the vegetation's parameters")
    soil: SoilClass = setting("CM", "LaD soil class, which chooses the soil's parameters")
    reference_height: float | None = setting(None, "Height of the instruments above the ground [m]", gt=0, le=500)
    canopy_height: float | None = setting(None, "Height of the vegetation [m]", ge=0, le=120)


class Model(Table):
    """What computes the fluxes, and how it is stepped through time."""

    kind: Literal["process", "hybrid", "network"] = setting(
        "hybrid", "Physics alone, with a network, or the network alone"
    )
    hidden: int = setting(64, "Width of the LSTM", ge=1, le=4096)
    dynamic: Names = setting(DYNAMIC, "Parameters the LSTM sets at every step")
    static: Names = setting(STATIC, "Parameters learned as one number for the site")
    attributes: Names = setting(
        (), "What a network sees of the site: latitude, elevation, canopy_height, aridity_log, leaf_area_index"
    )
    regional: Names = setting((), "Parameters that follow attributes from site to site")
    regional_by: tuple[Literal["latitude", "elevation", "canopy_height", "aridity_log"], ...] = setting(
        ("canopy_height",), "The attributes that they follow"
    )
    owned: Names = setting((), "Parameters in which each tower that is trained on departs from the others")
    strangers: bool = setting(
        False, "Every other of several columns of a tower trains as if nobody had trained there: without what it owns"
    )
    corrections: Names = setting(
        (), "Those of `owned` that are allowed only where ET exceeds what fell, or plants need more"
    )
    states: Literal["none", "fed", "stopped"] = setting(
        "fed", "Model states the LSTM sees: none, all, or all but without their gradient"
    )
    evaporation: Literal["resistance", "energy"] = setting(
        "resistance",
        "What limits evaporation from moist ground: resistances of stomata and air, or the energy there is",
    )
    stability: Literal["critical", "coupled"] = setting(
        "critical", "Stable air: its turbulence ceases at a critical Richardson number, or never quite does"
    )
    solver: Literal["implicit", "adaptive"] = setting("implicit", "The implicit step, or diffrax's adaptive solver")
    substeps: int = setting(2, "Implicit sub-steps in a forcing interval", ge=1, le=60)
    newton: int = setting(5, "Newton iterations in a sub-step", ge=1, le=20)
    precision: Precision = setting("float32", "Precision of the arithmetic")

    @pydantic.model_validator(mode="after")
    def _learned_once(self) -> Self:
        lists = {"owned": self.owned, "static` or `dynamic": (*self.static, *self.dynamic)}
        for learned, names, among in (
            ("regional", self.regional, "static` or `dynamic"),
            ("owned", self.owned, "static` or `dynamic"),
            ("corrections", self.corrections, "owned"),
        ):
            if odd := [name for name in names if name not in lists[among]]:
                raise ValueError(f"`{learned}` names {', '.join(odd)}, which `{among}` does not")
        if self.kind == "hybrid" and (both := [name for name in self.dynamic if name in self.static]):
            raise ValueError(f"{', '.join(both)} cannot be both `dynamic` and `static`")
        return self


class Training(Table):
    """How the weights are found."""

    steps: int = setting(200, "Most updates of the weights", ge=0)
    learning_rate: float = setting(5e-3, "Step of the optimizer", gt=0, le=1)
    head_rate: float = setting(3.0, "Rate of what reads an LSTM out, over `learning_rate`", gt=0, le=100)
    static_rate: float = setting(6.0, "Rate of static parameters, over `learning_rate`", gt=0, le=100)
    window_days: int = setting(20, "Length of the windows the loss is taken over [d]", ge=1)
    columns: int = setting(0, "Windows of a tower that run side by side; 0: as many as cover its record", ge=0)
    averaging: float = setting(0.9, "Share of the averaged weights, which are kept, that an update leaves", ge=0, lt=1)
    patience: int = setting(20, "Validations without gain before training stops", ge=1)
    validate_every: int = setting(5, "Updates between validations", ge=1)
    gradient_clip: float = setting(1.0, "Largest norm of the gradient", gt=0)
    weights: Literal["uniform", "uncertainty"] = setting(
        "uniform", "What each measured step counts: the same, or less with the random uncertainty of its fluxes"
    )
    water_weight: float = setting(1.0, "What a record's runoff or snow counts, over its latent or sensible heat", ge=0)
    weight_decay: float = setting(1e-4, "Decay of the network's weights", ge=0)
    prior_weight: float = setting(1e-3, "Pull of learned parameters toward their defaults", ge=0)
    seed: int = setting(0, "Seed of all that is random", ge=0, lt=2**32)
    spin_up_years: int = setting(3, "Times the first year is cycled before the run begins", ge=0)


class Contest(Table):
    """What the rivals of the hybrid do otherwise than it does."""

    calibrated: Names = setting(
        ("surface_resistance", "roughness_length", "roughness_ratio_log", "ground_albedo", "emissivity",
         "thermal_conductivity", "heat_capacity", "root_capacity", "critical_saturation", "vegetation_heat_capacity"),
        "Parameters that calibrated LaD learns, once each",
    )  # fmt: skip


class Benchmark(Table):
    """The arena: who meets on which of the standard splits of an archive."""

    split: Literal["site", "time", "daily"] = setting(
        "site", "Towers that are left out, years, or towers left out of those that give fluxes by day"
    )
    contestants: Names = setting(
        ("1lin", "3km27", "boosting", "LaD", "calibrated LaD", "hybrid", "LSTM"),
        "Who takes part; joined by ` + `, the mean of their fluxes does",
    )
    folds: Names = setting((), "Folds of the split to run, by name; none: all")
    seeds: tuple[int, ...] = setting((0,), "Seeds of those that have any")
    train_records: int = setting(
        0, "Records that train where towers are left out, drawn by lot; 0: all there are", ge=0
    )


class Config(Table):
    """Everything a run depends on, except the data."""

    tower: Tower
    split: Split = Blocks()
    model: Model = Model()
    training: Training = Training()
    contest: Contest = Contest()
    benchmark: Benchmark = Benchmark()

    @staticmethod
    def defaults() -> str:
        """A file with every setting, its meaning and its default, ready to edit."""
        return _written(Config(tower=Tower(met=Path("Met.nc"))), explained=True)


def load(path: str | Path) -> Config:
    """Read a configuration; paths in it are relative to its folder.

    Raises:
        ConfigError: The file cannot be read, or a setting in it is unknown, missing or out of bounds.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path.name}: not valid TOML: {error}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name}: not a text file in UTF-8, so not a configuration.") from error
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}).\n"
            "  to go on: `bowen train --defaults` prints a file to start from."
        ) from error
    return parse(table, where=path.name, folder=path.absolute().parent)


def parse(table: dict[str, Any], *, where: str, folder: Path = Path()) -> Config:
    """Check a table of settings; `where` names its origin in messages, `folder` is where its relative paths begin.

    Raises:
        ConfigError: A setting is unknown, missing or out of bounds; all that is wrong is said at once.
    """
    # As JSON, because pydantic then allows arrays for tuples and strings for paths and dates but coerces nothing else.
    document = json.dumps(table, default=str)
    try:
        return Config.model_validate_json(document, strict=True, context={"folder": folder})
    except pydantic.ValidationError as error:
        raise ConfigError("\n".join(_sentence(fault, where) for fault in error.errors())) from error


def dumps(config: Config) -> str:
    """Write a configuration as TOML that `load` reads back to an equal one."""
    return _written(config, explained=False)


def _written(config: Config, *, explained: bool) -> str:
    written = lines(config, explained)
    for name, table in config:
        if isinstance(table, Table):
            written += ["", f"[{name}]", *lines(table, explained)]
    return "\n".join(written) + "\n"


_TABLES: dict[Any, type[Table]] = {
    "tower": Tower,
    "model": Model,
    "training": Training,
    "contest": Contest,
    "benchmark": Benchmark,
}
_SPLITS: dict[Any, type[Table]] = {"blocks": Blocks, "periods": Periods}
_WORDING = {"Value error, ": "", "Input should": "should", "an object": "a table", "Field required": "is missing"}


def _sentence(fault: Any, where: str) -> str:
    """Say of one fault what is wrong, where, and what would be right."""
    first, *path = fault["loc"]
    table = _SPLITS[path.pop(0)] if first == "split" and path else _TABLES.get(first, Config)
    if table is Config and first != "split":
        path = [first, *path]
    else:
        where = f"{where} [{first}]"
    reason = fault["msg"]
    for theirs, ours in _WORDING.items():
        reason = reason.replace(theirs, ours)
    if not path:
        return f"{where}: {reason}."
    name, *item = path
    if fault["type"] == "extra_forbidden":
        return f"{where}: unknown setting `{name}`. {_hint(name, table)}"
    meaning = f"\n  {name}: {table.model_fields[name].description}."
    if fault["type"] == "missing" and not item:
        return f"{where}: `{name}` is not set, and has no default.{meaning}"
    at = f", item {item[0] + 1}," if item else ""
    return f"{where}: `{name}`{at} = {toml_value(fault['input'])}: {reason}.{meaning}"


def _hint(name: str, table: type[Table]) -> str:
    """Where an unknown setting may have been meant to go."""
    tables = {**_TABLES, "split": Periods if name in Periods.model_fields else Blocks}
    if homes := [home for home, other in tables.items() if name in other.model_fields]:
        return f"It belongs in [{homes[0]}]."
    if close := difflib.get_close_matches(name, table.model_fields, n=1):
        return f"Did you mean `{close[0]}`?"
    return f"Known here: {', '.join(table.model_fields)}."
