"""Data arguments understood, and the batches that come of them."""
