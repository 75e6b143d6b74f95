"""Explanations: where in photos the answers of a classifier come from, and which training photos speak for them."""
