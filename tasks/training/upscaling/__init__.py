"""Training of the family of upscalers."""
