"""Exceptions of bowen. Each message has one form: where, what, and how to fix it."""

from collections.abc import Mapping


def printable(text: str) -> str:
    """Escape characters that would control a terminal; lines and tabs stay."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


class BowenError(Exception):
    """A problem that the user can solve; the message gives its place, its kind and a fix.

    Args:
        where: File, setting, site or model that the problem is in; the whole message if it stands alone.
        what: The problem, as a clause without its full stop.
        details: Lines between, by label.
        fix: Command or setting that solves it.
    """

    def __init__(
        self,
        where: str,
        what: str | None = None,
        *,
        details: Mapping[str, str] | None = None,
        fix: str | None = None,
    ):
        lines = [f"{where}: {what}." if what else where]
        lines += [f"  {label}: {text}" for label, text in (details or {}).items()]
        lines += [f"  fix: {fix}"] if fix else []
        super().__init__(printable("\n".join(lines)))


class DataError(BowenError):
    """The record cannot be read, or cannot drive or train a model."""


class ConfigError(BowenError):
    """A setting is unknown or makes no sense."""


class RunError(BowenError):
    """A run directory cannot be read, written or continued."""


class ModelError(BowenError):
    """The model gave a value that is not finite, or a state that nature does not allow."""
