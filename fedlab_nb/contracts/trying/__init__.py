"""How parts of anybody's own are tried: made-up owners, watched rounds, and a look at what is held and drawn."""
