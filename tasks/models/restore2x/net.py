"""The network of this folder: one of the upscaling family."""

from tasks.models.upscaling.net import build

__all__ = ["build"]
