"""Actors that keep their model, fed with calls.

`pool` runs them on Ray and replaces those that die; `start`, `actor` and `spec` are how; `dispatch`
with `queue` decides who does what next, `failures` and `hosts` what follows from which failure:
pure, played through in tests. In: a handler by name, calls. Out: a future of each call's answer.
"""
