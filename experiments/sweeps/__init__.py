"""Sweeps: many runs that survive what happens to them, and the studies that ask for them.

`cell` is one run and its key, `cell_run` runs it, `warm_up` says which cells share one, `index`
keeps what came of it, `ownership` lets one process write, `runner` brings them together.
"""
