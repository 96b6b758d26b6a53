import numpy as np
import pandas as pd
import pytest

from bowen.data import block_split, period_split, select_period
from bowen.errors import ConfigError

TWO_YEARS = pd.date_range("2012-01-01", "2013-12-31 23:30", freq="30min").to_numpy()


def test_blocks_take_turns():
    labels = block_split(TWO_YEARS)
    by_day = labels[::48]
    assert (by_day[:60] == "train").all() and (by_day[60:80] == "validation").all() and (by_day[80:100] == "test").all()
    assert (by_day[100:160] == "train").all()
    assert len(labels) == len(TWO_YEARS)


def test_blocks_begin_at_midnight():
    labels = block_split(TWO_YEARS[11:], days=1, pattern=("train", "test"))
    assert (labels[:37] == "train").all() and (labels[37:85] == "test").all()


def test_every_season_is_in_every_split():
    labels = pd.Series(block_split(TWO_YEARS), index=TWO_YEARS)
    for label in ("train", "validation", "test"):
        assert set(labels.index[labels == label].quarter) == {1, 2, 3, 4}


def test_periods_include_both_ends():
    labels = period_split(TWO_YEARS, {"train": ("2012", "2012-06"), "test": ("2013-12-31", "2013-12-31")})
    assert (labels == "train").sum() == 182 * 48
    assert (labels == "test").sum() == 48
    assert (labels == "").sum() == len(TWO_YEARS) - 183 * 48


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (lambda: period_split(TWO_YEARS, {"train": ("2010", "2011")}), r"has no step; .* 2012-01-01 to 2013-12-31"),
        (
            lambda: period_split(TWO_YEARS, {"train": ("2012", "2012"), "test": ("2012-12", "2013")}),
            r"test = \[2012-12, 2013\]: overlaps train",
        ),
        (
            lambda: period_split(TWO_YEARS, {"train": ("spring", "2012")}),
            r"a date cannot be read.\n  fix: write dates like 2012 or 2012-05-31",
        ),
        (
            lambda: period_split(TWO_YEARS, {"testing": ("2012", "2012")}),
            r"unknown label `testing`.\n  known: train, val",
        ),
        (lambda: block_split(TWO_YEARS, pattern=("train", "holdout")), r"unknown label `holdout`"),
        (lambda: block_split(TWO_YEARS, days=0), r"at least one day"),
    ],
    ids=["empty", "overlap", "no date", "label", "label of a block", "no days"],
)
def test_splits_that_make_no_sense(split, message):
    with pytest.raises(ConfigError, match=message):
        split()


def test_a_period_open_at_an_end():
    assert select_period(TWO_YEARS, None, "2012", "--to 2012").sum() == 366 * 48
    assert select_period(TWO_YEARS, "2013-12", None, "--from 2013-12").sum() == 31 * 48
    assert select_period(TWO_YEARS, None, None, "all").all()
    with pytest.raises(ConfigError, match=r"--from 2014: has no step; the record is from 2012-01-01 to 2013-12-31"):
        select_period(TWO_YEARS, "2014", None, "--from 2014")


def test_labels_are_strings_of_numpy():
    assert block_split(TWO_YEARS).dtype.kind == period_split(TWO_YEARS, {"test": ("2012", "2013")}).dtype.kind == "U"
    assert isinstance(block_split(TWO_YEARS), np.ndarray)
