"""WHEN and WHY: the story of an episode; the only place that imports prefect."""
