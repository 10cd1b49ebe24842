"""A 3x upscaling network for drawings, ink lines and flat paint, trained here."""
