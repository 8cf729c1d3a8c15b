"""Softmax and normalisations."""
