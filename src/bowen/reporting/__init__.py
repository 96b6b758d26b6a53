"""Figures and self-contained HTML pages about a record, a site with its models, and transfer to unseen sites."""

from bowen.reporting.model_page import write_report as write_report
from bowen.reporting.record_page import write_inspection as write_inspection
from bowen.reporting.record_page import write_refusal as write_refusal
