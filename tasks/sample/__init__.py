"""The synthetic episode with exact truth: `douga sample`."""
