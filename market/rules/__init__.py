"""What a venue is: rules and listings as data, checked as a whole, with presets of real venues."""
