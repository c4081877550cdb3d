"""Exact money, elementary functions with the same bits everywhere, keyed random draws."""
