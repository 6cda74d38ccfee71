"""Make bytes of an email, and an email of bytes. No module here knows a model."""
