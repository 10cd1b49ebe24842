"""Episodes that wait for the farm: submitted from anywhere, admitted by Prefect.

`submission` is what was handed in, on record in the episode's store, `files` what it brings along;
`work_pool` is Prefect's side (queues, one deployment), `orders` what people ask of it, `line` who
waits for whom (pure). `serve` starts what is due, `recover` queues again what Prefect lost. In: a
request. Out: a run of the flow `render_episode` on the farm.
"""
