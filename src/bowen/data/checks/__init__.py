"""Checks of a record: plausible values, clock, closure of energy and water, stuck sensors."""
