"""Gather mails that are many within minutes, and tell of them in one."""
