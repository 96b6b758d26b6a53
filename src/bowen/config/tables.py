"""Base of all tables of settings, and how they are written as TOML."""

from typing import Any, Literal, get_args, get_origin

import pydantic
import tomlkit
import tomlkit.items

COMMENT_COLUMN = 46  # where comments begin, so that they are below each other


def setting(default: Any, meaning: str, **bounds: Any) -> Any:
    """Declare a setting of a table; its meaning is printed by `defaults` and in every error about it."""
    return pydantic.Field(default, description=meaning, **bounds)


class SettingsTable(pydantic.BaseModel):
    """Table of a configuration: frozen, and closed to settings it does not declare."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def toml_table(table: SettingsTable, *, explained: bool) -> tomlkit.items.Table:
    """Write a table of settings as TOML, with their meanings as comments if they are to be explained."""
    written = tomlkit.table()
    for name, value in table.model_dump(mode="json").items():
        meaning = _meaning(type(table), name)
        if value is not None:
            item = tomlkit.item(value)
            if explained:
                item.comment(meaning)
                item.trivia.comment_ws = " " * max(2, COMMENT_COLUMN - len(f"{name} = {item.as_string()}"))
            written.add(name, item)
        elif explained:
            written.add(tomlkit.comment(f"{f'{name} = ...':<{COMMENT_COLUMN - 2}}# {meaning}"))
    return written


def _meaning(table: type[SettingsTable], name: str) -> str:
    field = table.model_fields[name]
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    return f"{field.description}: {' | '.join(choices)}" if len(choices) > 1 else str(field.description)


def toml_value(value: Any) -> str:
    """Write a value as TOML, in one line."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {toml_value(inner)}" for name, inner in value.items()) + "}"
    return tomlkit.item(value).as_string()
