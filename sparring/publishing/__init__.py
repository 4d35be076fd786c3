"""Records as a versioned Hugging Face dataset: a folder on disk, its card, and a repository that it is appended to."""
