"""Be polite to relays: let no more leave than the settings allow. Without this, mail leaves as fast as it can."""
