"""Do with a database what the ORM does not."""
