"""A study and its results as one HTML page that is read from top to bottom, without a network."""

from crowdtruth.report.page import render_report, write_report

__all__ = ["render_report", "write_report"]
