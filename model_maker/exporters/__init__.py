"""A finished model in the formats of other runtimes."""
