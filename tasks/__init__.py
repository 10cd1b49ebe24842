"""WHAT happens to frames: decode, stages, encode, assemble, verify."""
