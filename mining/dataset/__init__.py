"""The front of mining: reads anybody's rows, runs the parts on them, and holds, writes and shows what they found."""
