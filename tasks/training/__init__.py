"""The programs that trained the shipped networks; nothing of a render imports them.

`loop` is what all share; `shots` draws endless shots with exact truth (docs/generator.md).
"""
