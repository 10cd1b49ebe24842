"""Training of the network that draws in-betweens."""
