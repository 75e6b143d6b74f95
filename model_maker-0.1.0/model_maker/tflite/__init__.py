"""The `.tflite` file format and its runtime."""
