"""How each database says that it reads a whole table."""

import re

LARGE = {"flasky_mail_outboxmessage", "flasky_mail_attempt"}  # what grows; the others have few rows
READS_ALL = {
    "SQLite": r"SCAN (\w+)",
    "PostgreSQL": r"Seq Scan on (\w+)",
    "MariaDB": r'"table_name": "(\w+)",\s*"access_type": "(?:ALL|index)"',
}


def read_whole(plan, database):
    """Return the large tables that a plan reads from one end to the other."""
    return set(re.findall(READS_ALL[database], plan)) & LARGE
