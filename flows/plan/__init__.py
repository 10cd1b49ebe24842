"""What must run, given what the store has; pure but for `prepare`, which reads the sources.

`plan` is the episode, `shot_plan` one shot (runs, chunks, keys), `stage_context` what a stage must
know of its shot, `audio` the film's clock, `partial` frames made apart (pickups and previews).
In: a `RenderRequest`. Out: `Prepared`, with a `RenderPlan`.
"""
