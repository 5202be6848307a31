"""What a network is and what it costs: the commands that need no data."""
