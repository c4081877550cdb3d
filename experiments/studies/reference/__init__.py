"""Studies whose results are kept here: `make reproduce` runs them again and compares."""
