"""Named objects with a digest each.

`open` gives a store by its URL, `base` is what all promise; `folder` (with `local_files`) and `s3`
(with `s3_client`, `s3_errors`, `s3_retries`, `s3_uploads`) are the two there are; `lease` lets one
of many do a thing at a time; `records` reads JSON so that a damaged one stops nothing but itself,
`set_aside` moves what is damaged out of the way. In: a name, bytes. Out: the bytes, whose digest
was checked.
"""
