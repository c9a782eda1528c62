"""What a run keeps on the disk: its checkpoints and its folder."""
