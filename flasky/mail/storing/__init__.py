"""Make a row of an email."""
