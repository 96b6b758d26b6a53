"""Readers: files of towers, basins and archives in, one canonical dataset out."""
