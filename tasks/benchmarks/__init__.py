"""How good pictures are: measures, references, and evaluations on any material."""
