"""Reports: one self-contained HTML file, verdict first."""

from stressbook.report.demo import run_demo
from stressbook.report.run_page import write_run_report
from stressbook.report.study_page import write_study_report

__all__ = ["run_demo", "write_run_report", "write_study_report"]
