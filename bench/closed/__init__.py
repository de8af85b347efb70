"""Closed loops side by side: the rows, their rounds in random order, the gates over them."""
