"""WHAT happens to frames: decode, stages, encode, assemble, verify.

Knows cluster's store and keys, nothing of Ray or Prefect. In: work items. Out: chunks, segments,
films. Above the line stand the laboratories: `training`, `benchmarks`, `synthetic`.
"""
