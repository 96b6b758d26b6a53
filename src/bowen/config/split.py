"""Split of the steps of a record into training, validation and test."""

import datetime
import itertools
from typing import Annotated, Any, Literal, Self, get_args

import pydantic

from bowen.config.tables import SettingsTable, setting

Label = Literal["train", "validation", "test"]


class BlockSplit(SettingsTable):
    """Split into blocks of whole days, by a repeated pattern."""

    kind: Literal["blocks"] = setting("blocks", "How the record is split: blocks | periods")
    days: int = setting(20, "Length of a block [d]", ge=1, le=36500)
    pattern: tuple[Label, ...] = setting(
        ("train", "train", "train", "validation", "test"),
        "Labels of the blocks, in turn; a model for use needs no test",
    )

    @pydantic.model_validator(mode="after")
    def _complete(self) -> Self:
        if missing := [label for label in ("train", "validation") if label not in self.pattern]:
            raise ValueError(f"`pattern` gives no block to {', '.join(missing)}")
        return self


Period = tuple[datetime.date, datetime.date]


class PeriodSplit(SettingsTable):
    """Split into one period each for training, validation and test, first and last day included."""

    kind: Literal["periods"] = setting("periods", "How the record is split: blocks | periods")
    train: Period = setting(..., "First and last day of training")
    validation: Period = setting(..., "First and last day of validation")
    test: Period | None = setting(None, "First and last day of the test; a model for use needs none")

    @pydantic.model_validator(mode="after")
    def _ordered(self) -> Self:
        chosen = {label: getattr(self, label) for label in get_args(Label)}
        periods = sorted((*period, label) for label, period in chosen.items() if period)
        for first, last, label in periods:
            if first > last:
                raise ValueError(f"`{label}` ends ({last}) before it begins ({first})")
        for (_, last, before), (first, _, after) in itertools.pairwise(periods):
            if first <= last:
                raise ValueError(f"`{before}` and `{after}` overlap: {after} begins {first}, {before} ends {last}")
        return self


def _split_kind(table: Any) -> str | None:
    kind = table.get("kind", "blocks") if isinstance(table, dict) else getattr(table, "kind", None)
    return kind if isinstance(kind, str) else None


Split = Annotated[
    Annotated[BlockSplit, pydantic.Tag("blocks")] | Annotated[PeriodSplit, pydantic.Tag("periods")],
    pydantic.Discriminator(
        _split_kind, custom_error_type="split_kind", custom_error_message="`kind` should be 'blocks' or 'periods'"
    ),
]
