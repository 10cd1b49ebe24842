"""Files that nobody has looked at yet are looked at in a process apart, with limits.

A file can crash a decoder, send it round in circles or make it ask for all memory there is. The
first look at a source (its index, its cuts) therefore happens in a child that may take so much
memory and must show signs of life; what it found comes back as JSON, never as pickled objects.
"""

from tasks.analysis.sandbox.run import analyse_apart, index_apart

__all__ = ["analyse_apart", "index_apart"]
