"""What an account is worth, what it must hold, and what it may do."""
