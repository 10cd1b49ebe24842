"""An edit handed back to its editor.

`deliver` is `douga timeline` from request to document; `shot_files` makes a file of each shot,
`handles` frames on either side, `provenance` and `write` the OTIO, `places` where all may go. In: a
rendered episode. Out: OTIO or EDL with its media.
"""
