"""Readers of towers, basins and archives, each of which returns a canonical dataset."""
