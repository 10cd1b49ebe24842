"""Episodes that wait for the farm: submitted from anywhere, admitted by Prefect.

`submission` is what was handed in, on record in the episode's store, `files` what it brings along;
`work_pool` is Prefect's side, `orders` what people `ask` of it, `line` who waits for whom (pure).
`serve` starts what is due, `render` is one of these, `wait` waits for its end. In: a request. Out:
a run of the flow `render_episode` on the farm.
"""
