"""Label-preserving changes of images, a file a family: used by redteam, mining and retraining alike."""
