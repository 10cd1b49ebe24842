"""What a source shows, found in one pass.

`analyse` is the pass; `cuts` with `similarity` and `dissolves`, and `holds`, are its detectors;
`sandbox` runs it on untrusted files, in a child process. In: an indexed source. Out: an `Analysis`:
cuts and repeated drawings, plain numbers.
"""
