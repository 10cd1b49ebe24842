"""One folder per network: the net, its card, its weights and the program that trained it."""
