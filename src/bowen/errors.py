"""What can go wrong, and at whose door. Each message says what, where, and what to do next."""


class BowenError(Exception):
    """Something the user can mend; the message says how."""


class DataError(BowenError):
    """The record cannot be read, or cannot drive or train a model."""


class ConfigError(BowenError):
    """A setting is unknown or makes no sense."""


class RunError(BowenError):
    """A run directory cannot be read, written or continued."""


class ModelError(BowenError):
    """The model left the range of numbers: a parameter or an input is to blame."""
