"""Decide when a message that was refused for now is tried again."""

import random
from datetime import datetime, timedelta

from flasky.mail.transports.replies import Reply, Verdict, is_about_too_many_recipients, retry_hint

# s. The next pause is the first that is longer than the message's age: quick at first, then minutes, then hours.
RETRY_PAUSES = (5, 15, 60, 5 * 60, 15 * 60, 3600, 3 * 3600, 6 * 3600)
RETRY_JITTER = 0.1  # of the pause, so that what failed together does not come back together

LONGEST_PAUSE = RETRY_PAUSES[-1] * (1 + RETRY_JITTER)

HINT_LIMITS = (1, RETRY_PAUSES[-1])  # s within which a reply's own "try again in …" is obeyed
HINT_GROWTH = 1 / 8  # of the message's age, which is the least that is waited then


def wanted_pause(replies: dict[str, Reply]) -> int | None:
    """Return the seconds after which the relay wants to be asked again, if it says so.

    In doubt it has no wish: whoever may have the mail must not get it again sooner than the plan says.
    """
    verdicts = {reply.verdict for reply in replies.values()}
    if Verdict.UNKNOWN in verdicts:
        return None
    open_replies = [reply for reply in replies.values() if reply.verdict == Verdict.POSTPONED]
    if verdicts - {Verdict.POSTPONED} and open_replies and all(map(is_about_too_many_recipients, open_replies)):
        return 0
    # A reply that says "in 0 s" means soon. 0 is for recipients for whom this attempt had no room.
    hints = [max(hint, 1) for reply in open_replies if (hint := retry_hint(reply.text)) is not None]
    return max(hints, default=None)


def next_attempt_at(queued_at: datetime, now: datetime, hint: int | None = None) -> datetime:
    """Return when to try again a message that was refused for now; `hint` is the relay's own wish, in seconds."""
    age = (now - queued_at).total_seconds()
    if hint is not None:
        shortest, longest = HINT_LIMITS
        if hint:  # whoever says "in a second" each time must not be asked each second for days
            hint = max(hint, int(age * HINT_GROWTH))
        return now + timedelta(seconds=min(max(hint, shortest), longest) * random.uniform(1, 1 + RETRY_JITTER))
    pause = next((pause for pause in RETRY_PAUSES if pause > age), RETRY_PAUSES[-1])
    # Never less than the pause, or the same one would come again.
    return now + timedelta(seconds=pause * random.uniform(1, 1 + RETRY_JITTER))
