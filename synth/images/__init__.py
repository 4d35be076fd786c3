"""Generators of images: one that needs no model, one that the user trains, and any diffusion pipeline."""
