"""From photos to a folder with a finished model: `train.py` tells the story, the other files are its chapters."""
