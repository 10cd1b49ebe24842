"""A laboratory: how good pictures are, how fast renders.

`triplets`, `enlargements`, `colourings`, `paint` and `model_sheets` measure stages on `evaluation`,
beside references and peers; `speed` is the peers of a render, `process_tree` says what a command
takes; `sheet` shows the worst cases. In: material with truth. Out: the table of `douga bench`.
"""
