"""Documents at the door.

`yaml_file` reads YAML with line numbers, `documents` is episode.yaml, `request` settles it with the
options typed, `shots` turns cuts into shots, `allowed_paths` says where paths may lead. In: text.
Out: a `RenderRequest`, or one line with the place and the remedy.
"""
