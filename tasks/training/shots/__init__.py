"""Endless cartoon shots with exact truth, drawn in batches with torch on any device.

Material to train on and to measure against; nothing from outside goes in. Scene i of a seed is
always the same scene (to the last bit on one device type). See docs/generator.md.
"""
