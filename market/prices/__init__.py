"""Fundamentals, outside markets, oracle, mark and funding."""
