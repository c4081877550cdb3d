"""Reference scenarios as TOML."""
