"""Owners trained one after another, with torch's own gradients."""

from fedlab_nb.learn.engine.sequential.executor import Sequential, norms_batches

__all__ = ["Sequential", "norms_batches"]
