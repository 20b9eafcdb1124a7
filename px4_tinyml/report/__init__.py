"""One self-contained HTML page about a training: how good, on what, how big, and what it does not prove."""

from px4_tinyml.report.page import write_report

__all__ = ["write_report"]
