"""A film and its store held against the episode."""
