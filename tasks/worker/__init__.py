"""What lives inside a stage actor: one work item from load to receipt.

`worker` runs it, `item` is what travels, `readers` its open sources, `errors` how failures leave,
`notes` what it leaves for people, `work_class` which work is alike for forecasts.
"""
