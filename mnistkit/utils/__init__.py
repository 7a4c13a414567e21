"""What everything else stands on: checks, files, devices, sources, progress."""
