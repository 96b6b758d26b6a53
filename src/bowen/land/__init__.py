"""The LaD land column: its parameters, states and fluxes, its step through time, and its budgets."""
