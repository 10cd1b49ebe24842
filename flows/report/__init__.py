"""Pages and documents about what was rendered.

`night` is of a night or a run, `usage` of the farm over a time; `page` and `plots` serve both.
In: what runs, nights and the ledger kept in the store. Out: HTML that opens from disk, JSON, JUnit.
"""
