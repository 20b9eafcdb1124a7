"""PX4 ULog: reader and writer."""
