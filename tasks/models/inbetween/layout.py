"""What goes into the network of this folder and what comes out. Plain numbers."""

GUESSES = 3
"""Motions given: merged, by the first frame's flow alone, by the second's."""
CANDIDATES = 2 + 2 * GUESSES
STRIDE = 16
"""Sides are padded to a multiple of this."""
FLOW_UNIT = 16.0
"""Pixels: flows are divided by this before the network sees them."""
TRUST_MERGED = 2.0
"""Logit by which an untrained network prefers the merged guess."""
LEAK = 0.1
APART_GAIN = 4.0
GAINS = (4.0,) * 4 + (1.0,) * CANDIDATES + (0.1,) * 3
"""Units of the head: flows in four pixels, logits, residual in tenths of the range."""
INPUTS = 3 * CANDIDATES + 2 * GUESSES + CANDIDATES // 2 + 2 + 1
HEAD = 4 + CANDIDATES + 3
