"""Photos and their labels."""
