"""What is wrong with the labels: views of a row, label issues, verdicts, what a review is worth."""
