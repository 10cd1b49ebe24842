"""Actors that keep their model and take calls.

`pool` makes calls, its `crew` asks for workers and replaces those that die: `spec` says what they
are, `actor` is what lives in them, `ray_actors` has them on Ray. `dispatch` and `queue` decide
which worker takes which of the `calls`, `growth` how many there should be; `failures` and `hosts`
decide what follows from a failure: pure, tested without Ray. In: a handler by name, calls. Out: a
future of each.
"""
