"""New frames between drawings: `stage` is the stage, `timing` says which drawing is when."""
