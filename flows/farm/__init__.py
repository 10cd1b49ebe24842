"""Frames made on a farm, and the film of them.

`farm` opens the pools of a plan, `shot` makes one shot, `film` the film, `notes` lays files for
people beside it, `pins` keeps what a run needs from being collected, `summary` is what a run came
to. In: a plan. Out: stored shots, a verified film, a result.
"""
