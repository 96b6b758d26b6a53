"""Forcing made complete: gaps filled, days disaggregated, fluxes corrected and averaged."""
