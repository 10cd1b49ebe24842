"""`douga doctor --self-test`: proves on the machine at hand what the documentation promises.

In: the installed package alone. Out: one check a proof, as in `douga doctor`. `proofs` holds the
proofs as pytest functions, `run` runs them, `stages` is the bench on which a stage is tried (the
contract suite of the repository uses it too).
"""
