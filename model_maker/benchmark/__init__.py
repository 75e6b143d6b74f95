"""Latency of `.tflite` files on this machine, on Android and, imported, on iOS: the `benchmark` command."""
