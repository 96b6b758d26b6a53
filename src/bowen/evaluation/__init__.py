"""Scores, rankings and empirical benchmark models; it knows xarray and no JAX."""
