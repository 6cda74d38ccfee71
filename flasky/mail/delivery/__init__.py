"""Make a recorded reply of a due row."""
