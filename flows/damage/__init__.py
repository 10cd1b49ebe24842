"""What of a store is damaged, what that costs, and its repair.

`kinds` says of every prefix how its objects are read and what the loss of one costs. `check` reads
every object, and sets aside what can be made again; `adopt` gives digests to objects of a store
that was copied without them. In: a store. Out: documents of what was found and done.
"""
