"""Flower's own processes: certificates and keys for them, starting and ending them, and giving them runs to do."""
