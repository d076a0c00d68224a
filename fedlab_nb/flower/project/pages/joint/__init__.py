"""What guide and settings say where owners of different columns predict together."""
