"""The way down: from a breach over the book and takeovers to the last socialised unit."""
