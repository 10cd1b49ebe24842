"""One work item, from load to receipt.

What lives inside a stage actor. `worker` runs an item, `item` is what travels, `readers` its open
sources, `errors` how failures leave, `notes` what is left for people, `work_class` which work is
alike for forecasts. In: a `WorkItem`. Out: a stored chunk or segment, and a receipt.
"""
