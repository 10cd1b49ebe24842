"""Untrusted files are indexed and analysed, and networks examined, in a child process with limits.

A file can crash a decoder, loop it forever or make it ask for all memory there is, and so can a
network. A source is therefore indexed and analysed first in a child process, and a network that a
user brings is examined in one. It has a memory limit and must send heartbeats; its result comes
back as JSON, never as pickled objects.
"""

from tasks.analysis.sandbox.run import analyse_in_sandbox, examine_in_sandbox, index_in_sandbox

__all__ = ["analyse_in_sandbox", "examine_in_sandbox", "index_in_sandbox"]
