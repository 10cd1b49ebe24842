"""Runs on record: that they are there, how they ended, one job of a key, waiting for them."""
