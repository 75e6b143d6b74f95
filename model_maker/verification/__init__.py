"""Whether a `.tflite` runs where it has to, and keeps to what phone clients require."""
