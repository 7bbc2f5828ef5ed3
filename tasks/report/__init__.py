"""The report of an experiment: results/NAME/run.json and one page, results/NAME/report.html."""

from tasks.report.page import render

__all__ = ["render"]
