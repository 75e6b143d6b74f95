"""TensorFlow's formats: stripped to inference and checked before TensorFlow loads them."""
