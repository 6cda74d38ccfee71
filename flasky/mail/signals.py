"""Name the signals of the outbox: moments in a mail's way at which others may do something of their own.

A receiver is called in the thread that delivers, and everybody waits for it: it should be quick, and leave
the database alone. What it raises is logged and changes nothing. Where nobody listens a signal costs a microsecond.
"""

from django.dispatch import Signal

# A process that delivers has looked for what is left undone, as it does every MAIL_SWEEP_INTERVAL seconds.
swept = Signal()

# `messages` were claimed, and the claim is committed; nothing of them has left.
claimed = Signal()

# An SMTP server has answered each command of a message's envelope; nothing of the text has left.
envelope_answered = Signal()

# All of a message's text has left for an SMTP server, the final dot too; its reply has not been read.
text_sent = Signal()

# The relay has answered about a message, and what that makes of it is written in a transaction that is not committed.
outcome_written = Signal()

# The leases of what this process delivers are prolonged, in a transaction that is not committed.
leases_renewed = Signal()
