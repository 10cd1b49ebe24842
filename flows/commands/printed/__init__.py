"""The types of what commands print with `--json`; `flows.commands.schemas` writes their schemas."""
