"""WHEN and WHY: the story of an episode; the only house that imports prefect.

In: what a person types, or a nightly's file. Out: a verified film, and records, reports and exit
codes that say what came of it. Rooms from top to bottom are in pyproject.toml's `layers` contract.
"""
