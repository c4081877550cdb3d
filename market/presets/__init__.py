"""Rules of real venues as dated TOML, each number with its source."""
