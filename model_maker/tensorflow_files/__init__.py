"""TensorFlow's own formats, reduced to what answers and checked before TensorFlow loads them."""
