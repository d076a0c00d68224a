"""The live page: the only room that knows widgets."""
