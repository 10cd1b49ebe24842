"""A 2x upscaling network for drawings, ink lines and flat paint, trained from scratch here."""
