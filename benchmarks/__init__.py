"""Measurements that the documentation states, repeated in a checkout; no part of the package."""
