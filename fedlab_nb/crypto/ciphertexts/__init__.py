"""One ciphertext: as it travels (words.py), how numbers go into it and come back (codec.py), by SEAL (native.py)."""
