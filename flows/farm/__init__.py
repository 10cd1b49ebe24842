"""Frames made on a farm: `farm` opens the pools of a plan, `shot` makes one shot, `film` the film.

`notes` are files for people beside the film, `pins` keep what a run needs from being collected,
`summary` is what a run came to.
"""
