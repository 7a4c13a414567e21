"""Diagrams that explain: what learning is made of, and what networks are made of."""
