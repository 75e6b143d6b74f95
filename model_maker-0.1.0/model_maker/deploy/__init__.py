"""Making a classifier useful elsewhere."""
