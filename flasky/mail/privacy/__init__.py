"""Find, hand out and erase what the outbox keeps of a person."""
