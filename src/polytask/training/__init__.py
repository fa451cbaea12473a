"""Training: loop, optimizer, checkpoints, journal, trackers."""
