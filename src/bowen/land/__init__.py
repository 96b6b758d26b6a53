"""LaD land column: parameters, state and fluxes, the step, and the budgets."""
