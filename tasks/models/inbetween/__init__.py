"""The in-between of two drawings, from classical guesses of the motion."""
