"""Photos that nobody has put into classes: found by a photo or a word, and sorted into folders."""
