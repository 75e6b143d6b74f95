"""What is wrong with a data set, and mending it: `diagnosis.diagnose`, `quarantine.mend`, `quarantine.put_back`."""
