"""The guides to what lasts on the machines: certificates and keys, and services."""
