"""Pages and documents about what was rendered: `night` (a night or a run), `usage` (the farm)."""
