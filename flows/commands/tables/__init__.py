"""What commands say to people: tables on stdout. Documents go in, nothing is decided here."""
