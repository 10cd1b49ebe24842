"""Documents at the door: `documents` (episode.yaml) and `request` (with the options settled).

`yaml_file` reads YAML with line numbers, `shots` turns cuts into shots, `allowed_paths` says where
an episode's paths may lead.
"""
