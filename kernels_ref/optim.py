"""Optimizer updates and gradient clipping."""
