"""A run, epoch by epoch: ``run`` goes through the epochs, ``step`` makes one update."""
