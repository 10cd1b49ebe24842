"""What must run, given what the store has. Pure, but for the steps of `prepare` that read files.

`prepare` goes from request to plan: `checks`, `sources` (probe, analyse), `cut` and `inputs` (what
each shot is made of). `plan` is the episode, `shot_plan` one shot (runs, chunks, keys),
`stage_context` what a stage must know of its shot, `audio` the film's clock, `partial` frames made
apart (pickups and previews). In: a `RenderRequest`. Out: `Prepared`, with a `RenderPlan`.
"""
