"""fedlab_nb: a federated-learning lab for notebooks."""
