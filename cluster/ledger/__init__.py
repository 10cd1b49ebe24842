"""What every piece of work came to, as Parquet in the store, and the questions to it.

`receipts` writes, `history` reads, `parts` tells which rows to read where, `compaction` makes one
object a month of many.
"""
