"""Recipes run over seeds and grids, stored, stacked, and what their factors do."""
