"""Whether .tflite files work, and how fast."""
