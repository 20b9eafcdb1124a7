"""CSV logs: ulog2csv exports, Arduino captures, any other by a column map."""
