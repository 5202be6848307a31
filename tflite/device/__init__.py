"""What is copied to a device; it imports nothing of cspkeras."""
