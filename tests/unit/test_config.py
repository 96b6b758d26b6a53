"""A configuration says what it means, or says what is wrong with it."""

import datetime
import tomllib
from pathlib import Path

import pytest

from bowen.config.schema import (
    BlockSplit,
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
        ("[training]\nlearning_rate = nan", "`learning_rate` = NaN: should be a finite number."),
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
