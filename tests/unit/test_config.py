"""A configuration says what it means, or says what is wrong with it."""

import datetime
import tomllib
from pathlib import Path

import pytest

from bowen.config import renamed
from bowen.config.schema import (
    BenchmarkConfig,
    BlockSplit,
    ComparisonConfig,
    Config,
    DataConfig,
    ModelConfig,
    PeriodSplit,
    TrainingConfig,
    dumps,
    load,
    parse,
)
from bowen.errors import ConfigError

PERIODS = """
[data]
met = "Met.nc"
[split]
kind = "periods"
train = ["2006-01-01", "2010-12-31"]
validation = [2011-01-01, 2011-12-31]
test = [2012-01-01, 2013-12-31]
"""


def parsed(text: str) -> Config:
    return parse(tomllib.loads(text), where="us-me2.toml")


def with_tower(text: str) -> Config:
    return parsed(f'{text}\n[data]\nmet = "Met.nc"')


def test_what_is_not_said_has_its_default():
    config = with_tower("")
    assert config == Config(data=DataConfig(met=Path("Met.nc")))
    assert (config.split, config.model, config.training) == (BlockSplit(), ModelConfig(), TrainingConfig())


def test_paths_begin_at_the_folder_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = tmp_path / "us-me2.toml"
    path.write_text('[data]\nmet = "data/Met.nc"\nflux = "~/Flux.nc"')
    tower = load(path).data
    assert tower.met == tmp_path / "data" / "Met.nc"
    assert tower.flux == tmp_path / "home" / "Flux.nc"


def test_an_absolute_path_stays_as_it_is(tmp_path):
    path = tmp_path / "us-me2.toml"
    path.write_text(f'[data]\nmet = "{tmp_path.parent}/Met.nc"')
    assert load(path).data.met == tmp_path.parent / "Met.nc"


@pytest.mark.parametrize(
    "config",
    [
        Config(data=DataConfig(met=Path("Met.nc"))),
        Config(
            data=DataConfig(met=Path('a "quoted" näme\\\x7f.csv'), latitude=-44.5, igbp="ENF", soil="P"),
            split=BlockSplit(days=7, pattern=("validation", "train", "test")),
            model=ModelConfig(
                kind="process", dynamic=(), static=("root_zone_capacity", "roughness_length"), precision="float32"
            ),
            training=TrainingConfig(learning_rate=1e-5, weight_decay=0.0, clip_gradient_norm=1e16),
        ),
        parsed(PERIODS),
    ],
    ids=["defaults", "everything", "periods"],
)
def test_what_is_written_is_read_back(config, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(dumps(config), encoding="utf-8")
    assert load(path) == config.model_copy(
        update={"data": config.data.model_copy(update={"met": tmp_path / config.data.met})}
    )


def test_the_printed_defaults_are_the_defaults_and_explain_every_setting():
    text = Config.defaults()
    assert parse(tomllib.loads(text), where="defaults") == Config(data=DataConfig(met=Path("Met.nc")))
    for table in (DataConfig, BlockSplit, ModelConfig, TrainingConfig):
        for name, field in table.model_fields.items():
            told = [line for line in text.splitlines() if line.lstrip("# ").startswith(f"{name} = ")]
            assert any(field.description in line for line in told), name


def test_periods_are_days_written_as_dates_or_as_strings():
    split = parsed(PERIODS).split
    assert isinstance(split, PeriodSplit)
    assert split.train == (datetime.date(2006, 1, 1), datetime.date(2010, 12, 31))
    assert split.validation[0] == datetime.date(2011, 1, 1)


def test_a_configuration_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        TrainingConfig().updates = 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[training]\nwindw_days = 3", "[training]: unknown setting `windw_days`. Did you mean `window_days`?"),
        ("[training]\nxyz = 3", "us-me2.toml [training]: unknown setting `xyz`. Known here: updates, learning_rate,"),
        ("[trining]", "us-me2.toml: unknown setting `trining`. Did you mean `training`?"),
        ("hidden_size = 3", "us-me2.toml: unknown setting `hidden_size`. It belongs in [model]."),
        ("[split]\ndayz = 3", "us-me2.toml [split]: unknown setting `dayz`. Did you mean `days`?"),
        ("[split]\nkind = 'random'", "us-me2.toml [split]: `kind` should be 'blocks' or 'periods'."),
        ("[split]\npattern = ['train', 'tset']", "item 2, = \"tset\": should be 'train', 'validation' or 'test'."),
        ("[split]\npattern = ['train']", "us-me2.toml [split]: `pattern` gives no block to validation."),
        ("[model]\nhidden_size = '64'", 'us-me2.toml [model]: `hidden_size` = "64": should be a valid integer.'),
        ("[model]\nhidden_size = 0", "us-me2.toml [model]: `hidden_size` = 0: should be greater than or equal to 1."),
        ("[model]\nkind = 'hybrd'", "`kind` = \"hybrd\": should be 'process', 'hybrid' or 'network'."),
        (
            "[model]\nstatic = ['minimum_stomatal_resistance']",
            "minimum_stomatal_resistance cannot be both `dynamic` and `static`.",
        ),
        ("[model]\nstatic = ['a', 'a']", '`static` = ["a", "a"]: names a more than once.'),
        ("[training]\nupdates = 2.5", "us-me2.toml [training]: `updates` = 2.5: should be a valid integer."),
        ("[training]\nupdates = true", "us-me2.toml [training]: `updates` = true: should be a valid integer."),
        ("[training]\nlearning_rate = nan", "`learning_rate` = nan: should be a finite number."),
        ("training = 3", "us-me2.toml [training]: should be a table."),
    ],
)
def test_an_error_says_where_what_and_what_is_allowed(text, message):
    with pytest.raises(ConfigError) as caught:
        with_tower(text)
    assert message in str(caught.value)


def test_what_a_hybrid_has_dynamic_a_process_may_have_static():
    assert with_tower("[model]\nkind = 'process'\nstatic = ['minimum_stomatal_resistance']").model.dynamic


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "us-me2.toml [data]: is missing."),
        (
            "[data]",
            "us-me2.toml [data]: `met` is not set, and has no default.\n  met: Weather, or everything: a file",
        ),
        ("[data]\nmet = 'a'\nlatitude = 91.0", "`latitude` = 91.0: should be less than or equal to 90."),
        ("[data]\nmet = 'a'\nigbp = 'PINE'", "`igbp` = \"PINE\": should be 'ENF', 'EBF'"),
        (PERIODS.replace("2010-12-31", "2011-01-01"), "`train` and `validation` overlap"),
        (PERIODS.replace("2013-12-31", "2011-12-31"), "`test` ends (2011-12-31) before it begins (2012-01-01)."),
        (PERIODS.replace('"2006-01-01", ', ""), "us-me2.toml [split]: `train`, item 2, = "),
        (PERIODS.replace("2006-01-01", "soon"), '`train`, item 1, = "soon": should be a valid date'),
    ],
)
def test_an_error_in_tower_or_periods(text, message):
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    assert message in str(caught.value)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ConfigError) as caught:
        parsed("[model]\nhidden_size = 0\n[training]\nupdates = -1")
    assert all(word in str(caught.value) for word in ("[data]", "`hidden_size` = 0", "`updates` = -1"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[tower\n", "broken.toml: not valid TOML: "),
        (b"\x89HDF\r\n\x1a\n\xff", "broken.toml: not a text file in UTF-8"),
        (None, "broken.toml: cannot be read \\(No such file or directory\\)(.|\n)*bowen train --defaults"),
    ],
    ids=["syntax", "binary", "absent"],
)
def test_a_file_that_is_no_configuration(content, message, tmp_path):
    path = tmp_path / "broken.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load(path)


HOMES = {
    "data": DataConfig, "model": ModelConfig, "training": TrainingConfig, "comparison": ComparisonConfig,
    "benchmark": BenchmarkConfig,
}  # fmt: skip
LISTS = [("model", "static"), ("model", "dynamic"), ("model", "regionalized"), ("comparison", "calibrated")]


def refused(table, name, value, message):
    document = {"data": {"met": "Met.nc"}}
    document.setdefault(table, {})[name] = value
    with pytest.raises(ConfigError) as caught:
        parse(document, where="us-me2.toml")
    assert str(caught.value) == message
    return renamed.migrate_settings(document)


@pytest.mark.parametrize(("old", "new"), renamed.TABLES.items())
def test_every_old_table_is_refused_with_its_name_of_today(old, new):
    with pytest.raises(ConfigError, match=rf"us-me2.toml: \[{old}\] is now \[{new}\].\n  fix: rename the table."):
        parse({old: {}}, where="us-me2.toml")
    assert renamed.migrate_settings({old: {"met": "Met.nc"}}) == {new: {"met": "Met.nc"}}
    assert new in Config.model_fields and old not in Config.model_fields


@pytest.mark.parametrize(
    ("table", "old", "new"), [(table, *names) for table, rows in renamed.SETTINGS.items() for names in rows.items()]
)
def test_every_old_setting_is_refused_with_its_name_of_today(table, old, new):
    default = HOMES[table].model_fields[new].default
    value = list(default) if isinstance(default, tuple) else default
    message = f"us-me2.toml [{table}]: `{old}` is now `{new}`.\n  fix: rename the setting."
    migrated = refused(table, old, value, message)
    assert migrated[table][new] == value and old not in migrated[table]
    assert getattr(getattr(parse(migrated, where="test"), table), new) == default


@pytest.mark.parametrize(
    ("table", "setting", "old", "new"), [(*at, *names) for at, rows in renamed.VALUES.items() for names in rows.items()]
)
def test_every_old_value_is_refused_with_its_name_of_today(table, setting, old, new):
    message = f'us-me2.toml [{table}]: "{old}" in `{setting}` is now "{new}".\n  fix: rename the value.'
    migrated = refused(table, setting, old, message)
    assert getattr(getattr(parse(migrated, where="test"), table), setting) == new


@pytest.mark.parametrize(("old", "new"), renamed.PARAMETERS.items())
@pytest.mark.parametrize(("table", "setting"), LISTS)
def test_every_old_parameter_is_refused_with_its_name_of_today(table, setting, old, new):
    message = f'us-me2.toml [{table}]: "{old}" in `{setting}` is now "{new}".\n  fix: rename the value.'
    assert refused(table, setting, [old, "emissivity"], message)[table][setting] == [new, "emissivity"]


def test_names_of_today_are_not_old_ones():
    for rows in (renamed.TABLES, renamed.PARAMETERS, *renamed.SETTINGS.values(), *renamed.VALUES.values()):
        assert not set(rows) & set(rows.values())
    today = tomllib.loads(dumps(Config(data=DataConfig(met=Path("Met.nc")))))
    assert renamed.migrate_settings(today) == today and not list(renamed.find_renamed(today, "today"))


@pytest.mark.parametrize("value", ["implicit", "adaptive"])
def test_a_removed_setting_is_refused_and_migrated_at_its_default_alone(value):
    document = {"data": {"met": "Met.nc"}, "model": {"solver": value}}
    (message,) = renamed.find_renamed(document, "us-me2.toml")
    assert message == (
        "us-me2.toml [model]: `solver` is gone: the implicit step is the only one.\n  fix: remove the setting."
    )
    assert renamed.migrate_settings(document)["model"] == ({} if value == "implicit" else {"solver": "adaptive"})


def test_all_old_names_of_a_file_are_named_at_once():
    text = '[tower]\nmet = "Met.nc"\nradiation = "either"\n[model]\nhidden = 8\nstatic = ["root_capacity"]'
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    old = ("[tower] is", "`radiation` is", '"either" in `net_radiation` is', "`hidden` is", '"root_capacity" in')
    assert all(name in str(caught.value) for name in old) and len(str(caught.value).splitlines()) == 2 * len(old)
    config = parse(renamed.migrate_settings(tomllib.loads(text)), where="test")
    assert config.data.net_radiation == "measured_if_available" and config.model.hidden_size == 8


@pytest.mark.parametrize(
    ("table", "setting", "value", "expected"),
    [
        ("data", "met", "towers/Met.nc", "towers/Met.nc"),
        ("data", "met", "../Met.nc", "../Met.nc"),
        ("data", "flux", "Flux.nc", "Flux.nc"),
        ("data", "format", "mine.toml", "mine.toml"),
    ],
)
def test_relative_paths_of_a_table_begin_at_the_folder_of_the_file(tmp_path, table, setting, value, expected):
    path = tmp_path / "us-me2.toml"
    given = {"met": "Met.nc", setting: value}
    path.write_text("\n".join(["[data]", *(f'{name} = "{text}"' for name, text in given.items())]))
    assert str(getattr(getattr(load(path), table), setting)) == str(tmp_path / expected)


def test_a_name_of_a_format_is_no_path(tmp_path):
    path = tmp_path / "us-me2.toml"
    path.write_text('[data]\nmet = "Met.nc"\nformat = "fluxnet"')
    assert load(path).data.format == "fluxnet"


@pytest.mark.parametrize("table", ["split", "model", "training", "comparison", "benchmark"])
def test_no_other_table_has_a_path(tmp_path, table):
    for folder in (tmp_path, Path("elsewhere")):
        config = parse({"data": {"met": "/Met.nc"}}, where="test", folder=folder)
        assert getattr(config, table) == getattr(Config(data=DataConfig(met=Path("Met.nc"))), table)


def test_a_value_in_an_error_is_written_as_in_toml():
    with pytest.raises(ConfigError) as caught:
        with_tower('[model]\nhidden_size = {a = 1, b = ["x"]}')
    assert '`hidden_size` = {a = 1, b = ["x"]}: should be a valid integer.' in str(caught.value)


def test_a_file_with_comments_is_aligned():
    lines = Config.defaults().splitlines()
    short = [line for line in lines if "#" in line[2:] and len(line.split("  ")[0]) < 44]
    assert {line.index("#", 2) for line in short} == {46} and lines[0] == "[data]"
