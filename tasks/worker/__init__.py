"""One work item, from load to receipt.

What lives inside a stage actor. `worker` makes a chunk with `inputs`, `readers` and `process`,
`segment_work` a segment; `item` is what travels, `storing` how results leave, `errors` how failures
do, `notes` what is left for people, `receipt` and `work_class` what is told of the work. In: a
`WorkItem`. Out: a stored chunk or segment, and a receipt.
"""
