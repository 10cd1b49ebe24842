"""Where the time went: every piece of work of a time, by worker.

`pieces` reads receipts, `page` draws them in one HTML file that opens from disk (with a script of
its own, the only page that has one), `trace` writes them for Perfetto.
"""
