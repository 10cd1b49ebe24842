"""The `douga` commands beside render, plan and review, a file for each."""
