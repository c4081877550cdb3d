"""How fast it is: each file measures one thing and prints median, spread and a ratio."""
