"""Rows that say the same: near duplicates by embedding and by text, what to remove, leakage between data sets."""
