"""Finds and fixes problems in a dataset: `diagnosis.diagnose`, `quarantine.mend`, `quarantine.put_back`."""
