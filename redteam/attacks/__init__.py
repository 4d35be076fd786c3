"""Attack strategies, one file each; operators stand in `sparring.operators`."""
