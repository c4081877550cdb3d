"""Sweeps: many runs that survive what happens to them, and the studies that ask for them.

`cell` is one run and its key, `episode` runs it, `sudden` says what shares a warm-up, `index` keeps
what came of it, `ownership` lets one process write, `runner` brings them together.
"""
