"""One's own accounts in a scenario: read, checked, opened as they are, and followed in runs."""
