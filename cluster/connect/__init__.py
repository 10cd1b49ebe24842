"""A Ray to work on.

`connect` joins the one named or starts one, `nodes` says what it has, `local` closes that to
others, `head_check` asks an address before Ray does, `driver_node` lets a machine outside a cluster
drive it. In: an address, or none. Out: a `Cluster` that says what it has, for the length of a
`with`.
"""
