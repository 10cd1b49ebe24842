"""The report of a night or a run, for machines and for people.

`write` makes the three files: report.html (`page`, `trends`, `pictures`), report.json,
junit.xml (`junit`); `of_run` turns a single run into a night of one. In: a night. Out: a folder.
"""

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
