"""One self-contained HTML page about a training: scores, data, sizes, limits."""

from px4_tinyml.report.page import write_report

__all__ = ["write_report"]
