"""Exports a finished model to the formats of other runtimes."""
