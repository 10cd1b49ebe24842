"""What nobody needs any more, removed from a store.

`mark` decides (pure): what runs, films, people and nights hold stays. `sweep` looks, announces
itself, looks again and removes what both looks name, beside runs in progress. In: a store. Out:
what went, and why the rest stays.
"""
