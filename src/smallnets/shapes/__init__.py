"""The arithmetic of feature maps: integers in, integers out, PyTorch's rules, no torch."""
