"""Label-preserving transforms of text, one file each; used by redteam, mining (probes) and retraining alike."""
