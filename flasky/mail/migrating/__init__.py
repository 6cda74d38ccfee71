"""Change the tables while mail is stored."""
