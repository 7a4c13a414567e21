"""Digits from outside MNIST: photos, strokes, a canvas to draw on."""
