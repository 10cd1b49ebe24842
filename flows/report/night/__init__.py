"""What a night or a run came to, for machines and for people: JUnit, JSON, one page of HTML."""

from flows.report.night.write import (
    ReportFiles,
    write_junit_of,
    write_report,
    write_report_of,
    write_run_report,
)

__all__ = [
    "ReportFiles",
    "write_junit_of",
    "write_report",
    "write_report_of",
    "write_run_report",
]
