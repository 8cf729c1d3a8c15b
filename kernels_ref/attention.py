"""Rotary embedding and attention."""
