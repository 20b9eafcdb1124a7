"""The model compiler: an int8 .tflite file to NumPy and C++ that compute what TensorFlow Lite Micro computes."""
