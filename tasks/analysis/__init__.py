"""What a source shows, found in one decoding: cuts, dissolves, repeated drawings.

`analyse` is the pass; `cuts` with `similarity` and `dissolves`, and `holds`, are its detectors;
`sandbox` runs it on files that nobody has looked at yet. Out: an `Analysis`, plain numbers.
"""
