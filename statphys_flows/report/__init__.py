"""Reports of a result for people: a summary in words, figures, a page."""

from statphys_flows.report.figures import write_figures
from statphys_flows.report.load import load
from statphys_flows.report.page import write_page
from statphys_flows.report.summary import summary

__all__ = ["load", "summary", "write_figures", "write_page"]
