"""Reserves: what is lent, to whom, at which rate, and what a slice of a loan takes."""
