"""Language models behind `TextModel`, one file each."""
