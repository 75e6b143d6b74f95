"""Checks that a `.tflite` runs in the available runtimes and meets the requirements of phone clients."""
