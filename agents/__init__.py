"""Who trades: one file per strategy, and the base they share."""
