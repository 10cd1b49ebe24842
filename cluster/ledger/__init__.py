"""What each piece of work came to.

`receipts` writes Parquet into the store, `history` reads it, `parts` tells which rows to read
where, `compaction` makes one object a month of many. In: receipts. Out: tables of just the columns
asked for, every row once.
"""
