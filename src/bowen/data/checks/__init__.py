"""Checks of a record: requirements, plausibility, clock, energy and water balance, stuck sensors."""
