"""What tables of settings have in common: frozen, closed to what they do not declare, they know their meaning."""

import json
from typing import Any, Literal, get_args, get_origin

import pydantic


def setting(default: Any, meaning: str, **bounds: Any) -> Any:
    """A field of a table that knows its meaning, said in `defaults` and in every error about it."""
    return pydantic.Field(default, description=meaning, **bounds)


class SettingsTable(pydantic.BaseModel):
    """One table of the file: frozen, and closed to settings it does not declare."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def toml_lines(table: SettingsTable, explained: bool) -> list[str]:
    """The settings of a table as lines of TOML, where wanted with what they mean."""
    values = {name: value for name, value in table.model_dump(mode="json").items() if not isinstance(value, dict)}
    given = {name: f"{name} = {toml_value(value)}" for name, value in values.items() if value is not None}
    if not explained:
        return list(given.values())
    return [f"{given.get(name, f'# {name} = ...'):<44}  # {_meaning(type(table), name)}" for name in values]


def _meaning(table: type[SettingsTable], name: str) -> str:
    field = table.model_fields[name]
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    return f"{field.description}: {' | '.join(choices)}" if len(choices) > 1 else str(field.description)


def toml_value(value: Any) -> str:
    """A TOML value: strings, numbers, booleans and arrays are written as in JSON, but for the delete character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
