"""Hierarchical compositional model by sparsifying a generator network, in Keras."""
