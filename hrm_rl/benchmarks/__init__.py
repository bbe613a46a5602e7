"""How fast it all is, and how far from what the machine could do."""
