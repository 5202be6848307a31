"""A page that runs a detector in the browser."""
