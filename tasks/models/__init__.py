"""Networks, and what runs them.

A folder per network: its net, its card, its weights; `shelf` knows them all, `user` those that
users bring. `passes` chooses for a scale, `enlarge` with `tiles` and `morph` run one, `device` and
`torch_setup` say on what. In: frames in 0..1. Out: frames; the digest of the weights is in the key.
"""
