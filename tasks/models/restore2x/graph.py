"""The graph of this folder's network: one of the upscaling family."""

from tasks.models.upscaling.graph import build

__all__ = ["build"]
