"""Figures and self-contained HTML pages: about a record, and about a tower and the models run at it."""

from bowen.report.document import write_report as write_report
from bowen.report.record import write_inspection as write_inspection
from bowen.report.record import write_refusal as write_refusal
