"""What the farm did over a time: cost, reuse, idleness, slow stages, retakes, failures."""
