"""The opening state: accounts booked from outside, and what can be wrong with them."""
