"""A film and its store compared with the episode.

`check` is `douga verify`, and what a render does before it says done; `expected` says what each
frame should show, `segments` reads stored objects, and what workers found of them. In: a plan, a
film. Out: findings with their place; none is good.
"""
