"""LiteRT, in processes of its own."""
