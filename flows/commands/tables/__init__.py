"""What commands say to people: tables on stdout of 100 columns.

A file for each command, `tables` is what they share. In: the document that `--json` prints. Out:
text. Nothing is decided here.
"""
