"""Attacks on image classifiers that steer a generator."""
