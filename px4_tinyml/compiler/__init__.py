"""The model compiler: int8 .tflite files to NumPy and C++, bit for bit as in TensorFlow Lite Micro."""
