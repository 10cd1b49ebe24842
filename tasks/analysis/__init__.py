"""What a source shows, found in one pass.

`part` looks at a part of it, `analyse` joins parts; `cuts` with `similarity` and `dissolves`, and
`holds`, are the detectors. `sandbox` runs it on untrusted files, in a child process for each part.
In: an indexed source. Out: an `Analysis`: cuts and repeated drawings, plain numbers.
"""
