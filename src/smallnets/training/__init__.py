"""Training and measuring: fit, evaluate, predict, find_lr."""
