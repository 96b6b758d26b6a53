"""Configuration of a run: typed tables of settings, read from TOML."""
