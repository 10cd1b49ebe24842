"""Frames made on a farm, and the film of them.

`run` starts a run and puts it on record, whoever renders it. `farm` opens the pools of a plan,
`upload` feeds it, `shots` renders what is missing, `shot` one shot. `film` ends the run:
`deliver` assembles and verifies (`output` is the place, `film_record` the store's memory of it),
`notes` are files for people beside it, `summary` is the run's result. `pins` keep what a run
needs from being collected, `shares` says how much of a shared farm is its own, `nodes` what each
machine of it does. In: a plan. Out: stored shots, a verified film, a result.
"""
