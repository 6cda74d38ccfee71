"""Say what is so, in numbers and in sentences. No module here knows HTTP."""
