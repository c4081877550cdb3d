"""Studies that ship: TOML files for `sweep` and `size-cap`, and those whose results are kept.

Files of `sweep` are NAME.toml, those of `size-cap` NAME.cap.toml.
"""
