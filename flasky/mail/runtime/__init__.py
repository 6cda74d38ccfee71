"""Do what belongs to the process: threads, time limits, names."""
