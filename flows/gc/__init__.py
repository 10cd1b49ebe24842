"""What nobody needs any more, removed from a store.

`read` takes a snapshot of the store, `mark` decides on it (pure): what runs, films, people and
nights hold stays. `sweep` announces itself, has the records read again and removes what both
decisions name, beside runs in progress. In: a store. Out: what went, and why.
"""
