"""Networks that users bring: registered with a digest, measured, run like those of the shelf."""
