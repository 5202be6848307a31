"""From Keras models to .tflite files."""
