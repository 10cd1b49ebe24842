"""Actors that keep their model and take calls.

`pool` runs them on Ray and replaces those that die, with `start`, `actor` and `spec`. `dispatch`
and `queue` decide which worker takes which call; `failures` and `hosts` decide what follows from a
failure: pure, tested without Ray. In: a handler by name, calls. Out: a future of each call's
answer.
"""
