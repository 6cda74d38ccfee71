"""Let no more leave than the settings allow, all processes together."""
