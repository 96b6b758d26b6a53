"""Preparation of records: gap filling, disaggregation, energy balance correction and daily averages."""
