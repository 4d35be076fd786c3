"""Attackers that learn by reward: a policy over operator chains, and a language model that rewrites."""
