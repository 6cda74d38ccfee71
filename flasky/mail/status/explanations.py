"""Explain why a message is where it is, in the sentences that the pages and the checks share."""

from collections.abc import Iterable

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext

from flasky.mail.conf import conf
from flasky.mail.dispatchers import delivers_inline
from flasky.mail.models import (
    LOST_CLAIMS_UNTIL_HELD,
    UNKNOWN_ENDS_UNTIL_HELD,
    Action,
    Gathered,
    OutboxMessage,
    OverBudget,
    Process,
    RelayOutage,
    State,
)
from flasky.mail.runtime import clock
from flasky.mail.status.alerts import DELIVERERS, somebody_delivers
from flasky.mail.status.in_their_words import in_their_words
from flasky.mail.status.written import joined, moment, number

REPLY_LENGTH = 300  # characters; the history has the whole of it
RESTART = gettext_lazy("Restart it, and look at its log.")  # what to do with a process that gets nowhere


def stuck(processes: Iterable[Process]) -> list[str]:
    """Return for each that lives and has work, but gets nowhere, since when; RESTART says what to do."""
    sentence = _(
        "%(process)s gives signs of life and has mail to deliver, but its threads have got nowhere since %(moment)s."
    )
    return [
        sentence % {"process": process.name, "moment": moment(process.stuck_since)}
        for process in processes
        if process.stuck_since
    ]


def has_waited(outage: RelayOutage) -> str:
    sentence = _("Mail has waited since %(moment)s: %(reason)s Next probe at %(probe)s.")
    return sentence % {
        "moment": moment(outage.since),
        "reason": in_their_words(outage.reason),
        "probe": moment(outage.next_probe_at),
    }


def why(message: OutboxMessage) -> str:
    """Return why the message is in its state, above all why it is not sent yet, and what can be done about it."""
    try:
        state = State(message.state)
    except ValueError:
        return _("It is %(state)r, which only a later version of this software understands: look at it there.") % {
            "state": message.state
        }
    match state:
        case State.QUEUED if message.next_attempt_at > clock.now():
            return _why_later(message)
        case State.QUEUED:
            return _why_due()
        case State.SENDING:
            return _why_sending(message)
        case State.HELD:
            return _why_held(message)
        case State.FAILED:
            return _why_failed(message)
        case State.CANCELLED:
            return _why_cancelled(message)
        case State.GATHERED:
            return _in_which_digest(message)
        case State.SENT:
            return _to_whom_sent(message)


def _why_later(message: OutboxMessage) -> str:
    values = {"moment": moment(message.next_attempt_at), "reply": _on_one_line(message.last_reply)}
    if Gathered.objects.waiting().filter(message=message).exists():
        sentence = _(
            "It waits for others of its kind, to be told of in one digest at %(moment)s at the latest; to try it now "
            "sends it by itself."
        )
        sentence %= values
    elif message.queued_at > clock.now():
        sentence = _("It is to be sent at %(moment)s.") % {"moment": moment(message.queued_at)}
    elif message.last_reply:
        sentence = _("The next try is at %(moment)s, because of the last reply: %(reply)s") % values
    else:
        sentence = _("The next try is at %(moment)s.") % values
    return sentence if somebody_delivers() else joined(sentence, _("But nobody delivers at the moment."), DELIVERERS)


def _why_due() -> str:
    if not somebody_delivers():
        return joined(_("It is due, but nobody delivers."), DELIVERERS)
    if outage := RelayOutage.objects.for_all().first():
        return _(
            "It waits for the relay, which has taken no mail since %(moment)s: %(reason)s Next probe at %(probe)s."
        ) % {
            "moment": moment(outage.since),
            "reason": in_their_words(outage.reason),
            "probe": moment(outage.next_probe_at),
        }
    if delivers_inline():
        return _("It is due, and goes with the next mail that is stored; manage.py deliver_mail delivers it now.")
    return _("It is due and waits for a free thread.")


def _why_sending(message: OutboxMessage) -> str:
    holder = message.claimed_by or _("an unknown process")
    if message.lease_expires_at is None:
        return _("It is being sent by %(process)s.") % {"process": holder}
    values = {"process": holder, "moment": moment(message.lease_expires_at)}
    if message.lease_expires_at < clock.now():
        sentence = _(
            "It was being sent by %(process)s, whose claim ran out at %(moment)s: whoever delivers next queues it "
            "again."
        )
        return sentence % values if somebody_delivers() else joined(sentence % values, _("Nobody does."), DELIVERERS)
    return (
        _("It is being sent by %(process)s, whose claim lasts until %(moment)s, and longer while that process lives.")
        % values
    )


def _why_held(message: OutboxMessage) -> str:
    if message.lost_claims >= LOST_CLAIMS_UNTIL_HELD:
        sentence = ngettext(
            "It is held because %(count)s time in a row nothing more was heard of the process that was sending it, at "
            "last of %(process)s. Look for the reason in that process's log; then release or cancel it.",
            "It is held because %(count)s times in a row nothing more was heard of the process that was sending it, at "
            "last of %(process)s. Look for the reason in that process's log; then release or cancel it.",
            message.lost_claims,
        )
        return sentence % {"count": message.lost_claims, "process": message.claimed_by or _("an unknown one")}
    if message.unknown_ends >= UNKNOWN_ENDS_UNTIL_HELD:
        sentence = ngettext(
            "It is held because %(count)s time in a row it was handed over and no clear answer came: it may have "
            "arrived %(count)s time. The last end: %(reply)s Ask a recipient whether it came; then cancel it, or "
            "release it to send it once more.",
            "It is held because %(count)s times in a row it was handed over and no clear answer came: it may have "
            "arrived %(count)s times. The last end: %(reply)s Ask a recipient whether it came; then cancel it, or "
            "release it to send it once more.",
            message.unknown_ends,
        )
        return sentence % {"count": message.unknown_ends, "reply": _on_one_line(message.last_reply)}
    if over := OverBudget.objects.waiting().filter(message=message).first():
        return _why_over_budget(over)
    if action := _last(message, Action.Verb.HELD):
        sentence = _("It was put on hold by %(person)s at %(moment)s, and waits until a person releases or cancels it.")
        return sentence % _by_whom(action)
    return _("It was put on hold, and waits until a person releases or cancels it.")


def _why_over_budget(over: OverBudget) -> str:
    values = {"count": number(over.most), "seconds": number(over.seconds), "setting": over.setting}
    match over.share:
        case "recipient":
            sentence = _(
                "It is held because more than %(count)s messages to one of its recipients were stored within "
                "%(seconds)s s (%(setting)s)."
            )
        case "kind":
            sentence = _(
                "It is held because more than %(count)s messages of its kind were stored within %(seconds)s s "
                "(%(setting)s)."
            )
        case "urgent":
            sentence = _(
                "It is held because more than %(count)s urgent messages were stored within %(seconds)s s (%(setting)s)."
            )
        case _other:
            sentence = _(
                "It is held because more than %(count)s messages were stored within %(seconds)s s (%(setting)s)."
            )
    return joined(
        sentence % values, _("It leaves by itself when the budget allows; release it to send it now, or cancel it.")
    )


def _why_failed(message: OutboxMessage) -> str:
    reply = _("The last reply: %(reply)s") % {"reply": _on_one_line(message.last_reply)} if message.last_reply else ""
    next_step = "" if message.is_pruned else _("Mend the cause, then requeue it.")
    return joined(_how_failed(message), reply, next_step)


def _how_failed(message: OutboxMessage) -> str:
    values = {"days": conf.MAIL_GIVE_UP_DAYS, "moment": moment(message.finished_at) if message.finished_at else ""}
    match bool(message.remaining_recipients), bool(message.finished_at):
        case True, True:
            sentence = ngettext(
                "It was given up at %(moment)s, after %(days)s day of trying (MAIL_GIVE_UP_DAYS).",
                "It was given up at %(moment)s, after %(days)s days of trying (MAIL_GIVE_UP_DAYS).",
                conf.MAIL_GIVE_UP_DAYS,
            )
        case True, False:
            sentence = ngettext(
                "It was given up, after %(days)s day of trying (MAIL_GIVE_UP_DAYS).",
                "It was given up, after %(days)s days of trying (MAIL_GIVE_UP_DAYS).",
                conf.MAIL_GIVE_UP_DAYS,
            )
        case False, True:
            sentence = _("It was refused for good at %(moment)s.")
        case _other:
            sentence = _("It was refused for good.")
    return sentence % values


def _why_cancelled(message: OutboxMessage) -> str:
    if action := _last(message, Action.Verb.CANCELLED):
        sentence = _("It was cancelled by %(person)s at %(moment)s.") % _by_whom(action)
    else:
        sentence = _("It was cancelled.")
    return sentence if message.is_pruned else joined(sentence, _("Requeue it to send it after all."))


def _in_which_digest(message: OutboxMessage) -> str:
    digest = OutboxMessage.objects.filter(carried__message=message).only("state").first()
    if digest is None:
        return _("It was told of in a digest, which does not exist any more.")
    values = {"number": digest.pk, "state": digest.get_state_display().lower()}
    return _("It is told of in the digest with the number %(number)s, which is: %(state)s.") % values


def _to_whom_sent(message: OutboxMessage) -> str:
    accepted, total = sum(outcome["accepted"] for outcome in message.outcomes.values()), len(message.recipients)
    values = {
        "accepted": accepted,
        "count": total,
        "moment": moment(message.finished_at) if message.finished_at else "",
    }
    match accepted == total, bool(message.finished_at):
        case True, True:
            sentence = ngettext(
                "The relay accepted it at %(moment)s, for its one recipient.",
                "The relay accepted it at %(moment)s, for all %(count)s recipients.",
                total,
            )
        case True, False:
            sentence = ngettext(
                "The relay accepted it, for its one recipient.",
                "The relay accepted it, for all %(count)s recipients.",
                total,
            )
        case False, True:
            sentence = ngettext(
                "The relay accepted it at %(moment)s, for %(accepted)s of %(count)s recipient; the others do not get "
                "it.",
                "The relay accepted it at %(moment)s, for %(accepted)s of %(count)s recipients; the others do not get "
                "it.",
                total,
            )
        case _other:
            sentence = ngettext(
                "The relay accepted it, for %(accepted)s of %(count)s recipient; the others do not get it.",
                "The relay accepted it, for %(accepted)s of %(count)s recipients; the others do not get it.",
                total,
            )
    return sentence % values


def _last(message: OutboxMessage, verb: str) -> Action | None:
    return message.actions.filter(verb=verb).last()


def _by_whom(action: Action) -> dict[str, str]:
    return {"person": action.actor or _("somebody"), "moment": moment(action.at)}


def _on_one_line(reply: str) -> str:
    line = Truncator("; ".join(in_their_words(reply).split("\n"))).chars(REPLY_LENGTH)
    return line if line.endswith((".", "…", "。")) else f"{line}."


def about(message: OutboxMessage) -> list[str]:
    """Return the notices about the message: that it may be a duplicate, and that its body was pruned."""
    sentences = []
    if message.possible_duplicate:
        sentences.append(
            _(
                "It may arrive more than once: a process died, or the connection broke, before the server's reply to "
                "it was noted. All copies have the same Message-ID."
            )
        )
    if message.is_sensitive and not message.is_pruned:
        sentences.append(sensitive(message))
    if message.is_pruned:
        sentences.append(pruned(message))
    return sentences


def pruned(message: OutboxMessage) -> str:
    """Return why there is no body; nothing if there is one."""
    if not message.is_pruned:
        return ""
    if message.is_sensitive and message.state == State.SENT:
        return sensitive(message)
    if message.finished_at is None:
        return _("The body was pruned: bodies of old messages are not kept.")
    sentence = _("The body was pruned after %(day)s: bodies of old messages are not kept.")
    return sentence % {"day": date_format(timezone.localtime(message.finished_at), pgettext("date format", "Y-m-d"))}


def sensitive(message: OutboxMessage) -> str:
    """Return why nobody is shown what the message says."""
    if message.is_pruned:
        return _("It is sensitive: its body was dropped as soon as it was sent, so it cannot be sent again.")
    return _("It is sensitive: nobody is shown what it says, and its body is dropped as soon as it is sent.")
