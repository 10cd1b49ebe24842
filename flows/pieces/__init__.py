"""Frames made apart: pickups and previews."""
