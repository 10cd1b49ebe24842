"""What a machine does to be a node of a farm.

`ray_node` runs Ray's node as a child, `machine` says what there is, `lending` when the machine is
the farm's: its hours, its owner (`idle`), a cloud's notice (`notice`). `serve` is the story, `wake`
a packet to one that sleeps. `records` is what the farm's store says of nodes: who is there, and
why one is out. In: an address. Out: a node that renders get workers on, until it leaves.
"""
