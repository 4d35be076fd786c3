"""Which rows are worth labelling and training on, under a budget."""
