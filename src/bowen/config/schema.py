"""Settings: typed tables for a TOML file, in which an unknown setting is an error."""

import difflib
import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic
import tomlkit

from bowen.config.renamed import find_renamed
from bowen.config.site_ranges import SITE_RANGES, find_impossible_number
from bowen.config.split import BlockSplit, Period, PeriodSplit, Split
from bowen.config.tables import SettingsTable, setting, toml_table, toml_value
from bowen.errors import ConfigError
from bowen.files import parse_toml, read_text

DYNAMIC = ("minimum_stomatal_resistance", "roughness_ratio_log", "ground_albedo", "thermal_conductivity")
STATIC = ("root_zone_capacity", "critical_saturation", "vegetation_heat_capacity")

MAX_SPIN_UP_YEARS = 1000
MAX_COUNT = 10**7  # of updates, windows or records; more is a mistake

Precision = Literal["float32", "float64"]
SoilClass = Literal["C", "M", "F", "CM", "CF", "MF", "CMF", "P"]
IgbpClass = Literal[
    "ENF", "EBF", "DNF", "DBF", "MF", "CSH", "OSH", "WSA", "SAV", "GRA", "WET", "CRO", "URB", "CVM", "SNO", "BSV", "WAT"
]
SiteAttribute = Literal[
    "latitude", "elevation", "canopy_height", "aridity_log", "evergreen", "broadleaf", "cropland", "wetland"
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
Seed = Annotated[int, pydantic.Field(ge=0, lt=2**32)]
Names = Annotated[tuple[str, ...], pydantic.AfterValidator(_distinct)]
Attributes = Annotated[tuple[SiteAttribute | Literal["leaf_area_index"], ...], pydantic.AfterValidator(_distinct)]


def _site_number(name: str, meaning: str) -> Any:
    low, high, unit = SITE_RANGES[name]
    return setting(None, f"{meaning} [{unit}]", ge=low, le=high)


class DataConfig(SettingsTable):
    """Record to train on, and site metadata that its files lack."""

    met: File = setting(
        ...,
        "Weather, or everything: a file, a network's .zip, a folder of one tower's files, or an archive of many",
    )
    exclude: Names = setting((), "Records of an archive to leave out: a site, or a site with its years")
    basin_days: Period | None = setting(None, "First and last day to use of the daily records of an archive")
    flux: File | None = setting(None, "Fluxes, if they have a file of their own; found if it is named as usual")
    format: Kind | None = setting(None, "Text table format, a name or a TOML file; recognized if not given")
    net_radiation: Literal["computed", "measured", "measured_if_available"] = setting(
        "computed",
        "Net radiation: computed from shortwave, longwave and the surface, as measured, or as measured wherever a site "
        "has it",
    )
    closure: Literal["raw", "corrected", "learned_fraction", "measured_fraction"] = setting(
        "raw",
        "Target fluxes: as measured, or corrected to close the energy balance; or as measured and compared with the "
        "model's fluxes times a closure fraction, which is learned, or measured by the energy balance",
    )
    site: str | None = setting(None, "Name of the site, instead of the file's")
    latitude: float | None = _site_number("latitude", "Latitude")
    longitude: float | None = _site_number("longitude", "Longitude")
    elevation: float | None = _site_number("elevation", "Elevation of the ground above sea level")
    utc_offset_hours: float | None = _site_number("utc_offset_hours", "Local standard time minus UTC")
    igbp: IgbpClass | None = setting(None, "IGBP class, which sets the vegetation parameters")
    soil: SoilClass = setting("CM", "LaD soil class, which sets the soil parameters")
    reference_height: float | None = _site_number("reference_height", "Measurement height above the ground")
    canopy_height: float | None = _site_number("canopy_height", "Canopy height")

    @pydantic.model_validator(mode="after")
    def _possible(self) -> Self:
        if impossible := find_impossible_number(dict(self)):
            raise ValueError(impossible[1])
        return self


class ModelConfig(SettingsTable):
    """Model that computes the fluxes, and its solver."""

    kind: Literal["process", "hybrid", "network"] = setting(
        "hybrid", "Physics alone, physics with a network, or a network alone"
    )
    hidden_size: int = setting(64, "Hidden size of the LSTM", ge=1, le=4096)
    dynamic: Names = setting(DYNAMIC, "Parameters the network sets at every step")
    static: Names = setting(STATIC, "Parameters learned as one number, constant in time")
    attributes: Attributes = setting(
        (),
        "Site attributes a network sees: latitude, elevation, canopy_height, aridity_log, leaf_area_index, and traits "
        "of the vegetation class: evergreen, broadleaf, cropland, wetland",
    )
    regionalized: Names = setting((), "Parameters that depend on site attributes")
    regionalized_by: tuple[SiteAttribute, ...] = setting(
        ("canopy_height",), "Site attributes the regionalized parameters depend on"
    )
    site_specific: Names = setting((), "Parameters with an offset of its own for each site trained on")
    train_as_unseen: bool = setting(
        False, "Train every second window of a site as an unseen site, without its site-specific offsets"
    )
    water_corrections: Names = setting(
        (), "Site-specific parameters allowed only where evapotranspiration exceeds precipitation, or plants need more"
    )
    state_feedback: Literal["on", "stop_gradient", "off"] = setting(
        "on", "Model states as network inputs: with their gradient, without it, or not at all"
    )
    evaporation: Literal["resistance", "priestley_taylor"] = setting(
        "resistance",
        "Law of evaporation without water stress: stomatal and aerodynamic resistances, or available energy",
    )
    stability: Literal["monin_obukhov", "monin_obukhov_limited"] = setting(
        "monin_obukhov", "Stable air: turbulence ceases at a critical Richardson number, or stability is limited"
    )
    substeps: int = setting(2, "Implicit sub-steps per forcing interval", ge=1, le=60)
    newton_iterations: int = setting(5, "Newton iterations per sub-step", ge=1, le=20)
    precision: Precision = setting("float32", "Precision of the arithmetic")

    @pydantic.model_validator(mode="after")
    def _learned_once(self) -> Self:
        lists = {"site_specific": self.site_specific, "static` or `dynamic": (*self.static, *self.dynamic)}
        for setting_name, names, among in (
            ("regionalized", self.regionalized, "static` or `dynamic"),
            ("site_specific", self.site_specific, "static` or `dynamic"),
            ("water_corrections", self.water_corrections, "site_specific"),
        ):
            if odd := [name for name in names if name not in lists[among]]:
                raise ValueError(f"`{setting_name}` names {', '.join(odd)}, which `{among}` does not")
        if self.kind == "hybrid" and (both := [name for name in self.dynamic if name in self.static]):
            raise ValueError(f"{', '.join(both)} cannot be both `dynamic` and `static`")
        return self


class TrainingConfig(SettingsTable):
    """Optimization of the weights."""

    updates: int = setting(
        200, "Maximum number of updates of the weights; raised, a finished training continues", ge=0, le=MAX_COUNT
    )
    learning_rate: float = setting(5e-3, "Learning rate", gt=0, le=1)
    head_lr_factor: float = setting(3.0, "Learning rate of the output layer, relative to `learning_rate`", gt=0, le=100)
    static_lr_factor: float = setting(
        6.0, "Learning rate of static parameters, relative to `learning_rate`", gt=0, le=100
    )
    window_days: int = setting(20, "Length of a training window [d]", ge=1, le=36500)
    windows_per_site: int = setting(
        0, "Windows of a site that train side by side; 0: as many as cover its record", ge=0, le=MAX_COUNT
    )
    ema_decay: float = setting(0.9, "Decay of the exponential moving average of the weights", ge=0, lt=1)
    patience: int = setting(20, "Validations without gain before training stops", ge=1, le=MAX_COUNT)
    validate_every: int = setting(5, "Updates between validations", ge=1, le=MAX_COUNT)
    clip_gradient_norm: float = setting(1.0, "Maximum norm of the gradient", gt=0, le=1e20)
    loss: Literal["squared_error", "absolute_error"] = setting(
        "squared_error",
        "Loss: error squared over the variance, or absolute over the deviation, of each target",
    )
    weights: Literal["uniform", "uncertainty"] = setting(
        "uniform", "Weight of a measured step: the same for all, or less where the fluxes' random uncertainty is larger"
    )
    water_weight: float = setting(1.0, "Weight of runoff and snow, relative to latent or sensible heat", ge=0, le=1e6)
    weight_decay: float = setting(1e-4, "Weight decay of the network", ge=0, le=1)
    prior_weight: float = setting(1e-3, "Penalty on departures of learned parameters from their defaults", ge=0, le=1e6)
    seed: int = setting(0, "Random seed", ge=0, lt=2**32)
    spin_up_years: int = setting(3, "Cycles over the first year before the run begins", ge=0, le=MAX_SPIN_UP_YEARS)


class ComparisonConfig(SettingsTable):
    """Settings of the models the hybrid is compared with at one tower."""

    calibrated: Names = setting(
        ("minimum_stomatal_resistance", "roughness_length", "roughness_ratio_log", "ground_albedo", "emissivity",
         "thermal_conductivity", "heat_capacity", "root_zone_capacity", "critical_saturation",
         "vegetation_heat_capacity"),
        "Parameters of calibrated LaD, each learned as one number",
    )  # fmt: skip


class BenchmarkConfig(SettingsTable):
    """Models and splits of a benchmark over many sites."""

    split: Literal["site", "time", "daily", "site-2", "daily-2"] = setting(
        "site",
        "Standard split: sites held out, years held out, or sites held out of those with daily fluxes; those that end "
        "in -2 have more sites",
    )
    models: Names = setting(
        ("1lin", "3km27", "boosting", "LaD", "calibrated LaD", "hybrid", "LSTM"),
        "Models to compare; several joined by ` + ` are the mean of their fluxes",
    )
    folds: Names = setting((), "Folds of the split to run, by name; none: all")
    seeds: tuple[Seed, ...] = setting((0,), "Random seeds of the trained models")
    train_records: int = setting(
        0, "Number of training records where sites are held out, drawn at random; 0: all there are", ge=0, le=MAX_COUNT
    )


class Config(SettingsTable):
    """Settings of a run: all that it depends on, except the data."""

    data: DataConfig
    split: Split = BlockSplit()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    comparison: ComparisonConfig = ComparisonConfig()
    benchmark: BenchmarkConfig = BenchmarkConfig()

    @staticmethod
    def defaults() -> str:
        """Write a file with every setting, its meaning and its default, to edit."""
        return _written(Config(data=DataConfig(met=Path("Met.nc"))), explained=True)


def load(
    path: str | Path, *, migrate: Callable[[Mapping[str, Any]], dict[str, Any]] = lambda document: dict(document)
) -> Config:
    """Read a configuration; paths in it are relative to its folder.

    Args:
        path: TOML file.
        migrate: Translates the tables of a file with old names; by default they are refused.

    Raises:
        ConfigError: The file cannot be read, or a setting in it is unknown, missing or out of bounds.
    """
    path = Path(path)
    try:
        table = parse_toml(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(path.name, f"not valid TOML: {error}", fix="correct that line.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            path.name, "not a text file in UTF-8, so not a configuration", fix="give a TOML file."
        ) from error
    except OSError as error:
        raise ConfigError(
            str(path), f"cannot be read ({error.strerror})", fix="`bowen train --defaults` prints a file to start from."
        ) from error
    return parse(migrate(table), where=path.name, folder=path.absolute().parent)


def parse(table: dict[str, Any], *, where: str, folder: Path = Path()) -> Config:
    """Check a table of settings; `where` names its origin in messages, `folder` is where its relative paths begin.

    Raises:
        ConfigError: A setting is unknown, missing or out of bounds; the message names all of them.
    """
    if renamed := list(find_renamed(table, where)):
        raise ConfigError("\n".join(renamed))
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
    document = tomlkit.document()
    for name, table in config:
        if name != "data":
            document.add(tomlkit.nl())
        document.add(name, toml_table(table, explained=explained))
    return tomlkit.dumps(document)


_TABLES: dict[Any, type[SettingsTable]] = {
    "data": DataConfig,
    "model": ModelConfig,
    "training": TrainingConfig,
    "comparison": ComparisonConfig,
    "benchmark": BenchmarkConfig,
}
_SPLITS: dict[Any, type[SettingsTable]] = {"blocks": BlockSplit, "periods": PeriodSplit}
_WORDING = {"Value error, ": "", "Input should": "should", "an object": "a table", "Field required": "is missing"}


def _sentence(fault: Any, where: str) -> str:
    """Make a sentence of a fault: its place, the problem, and the allowed values."""
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


def _hint(name: str, table: type[SettingsTable]) -> str:
    """Suggest the place or the name of an unknown setting."""
    tables = {**_TABLES, "split": PeriodSplit if name in PeriodSplit.model_fields else BlockSplit}
    if homes := [home for home, other in tables.items() if name in other.model_fields]:
        return f"It belongs in [{homes[0]}]."
    if close := difflib.get_close_matches(name, table.model_fields, n=1):
        return f"Did you mean `{close[0]}`?"
    return f"Known here: {', '.join(table.model_fields)}."
