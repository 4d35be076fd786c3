"""Judges: does a sample still violate? Each is asked in one of three roles: guide, filter, audit."""
