"""Attacks on classifiers of images: on their pixels, and by steering a generator."""
