"""Turns a float model and its photos into the shipped `.tflite`: quantization, metadata, checks."""
