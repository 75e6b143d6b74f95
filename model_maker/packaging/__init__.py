"""From a float model and its photos to the `.tflite` that ships: quantized, with metadata, checked."""
