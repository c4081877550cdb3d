"""Order books and messages: what arrives, in which order it is taken, and what it trades."""
