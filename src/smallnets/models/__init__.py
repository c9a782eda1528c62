"""The zoo: one paper, one file. ``build`` knows them all."""
