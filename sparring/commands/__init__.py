"""Sub-apps of the `sparring` command, each thin: cli.py adds them."""
