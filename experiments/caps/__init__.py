"""How large a cap may be: a scenario law, demand at the cap, and a number with its certificate."""
