"""Training: `train.py` has the complete sequence from photos to the output folder, other modules its steps."""
