"""Figures and one self-contained HTML page about a tower and the models run at it."""

from bowen.report.document import write_report as write_report
