"""Read what Anymail has recorded about each recipient, in the light of the provider's whole answer."""

import re
from dataclasses import replace
from typing import Any

from flasky.mail.transports.answers import Answer, answer_of
from flasky.mail.transports.diagnosis import say
from flasky.mail.transports.failures import Failure
from flasky.mail.transports.replies import Receipt, Reply, Verdict, verdict_of
from flasky.mail.transports.reply_table import NOT_NAMED_YET, Row, find_row_of_api
from flasky.mail.wire.domains import in_ascii

ACCEPTED_FOR_LATER = 202  # by which a provider may say no more (RFC 9110, section 15.3.3)


def was_answered(email: Any) -> bool:
    status = getattr(email, "anymail_status", None)
    return status is not None and status.esp_response is not None


def provider_replies(email: Any, recipients: list[str], otherwise: Reply, backend: Any) -> dict[str, Reply]:
    """Return what Anymail recorded for each recipient, whatever failed afterwards; `otherwise` where it is silent.

    Raise TransportUnavailable if the provider takes nobody's mail, but says so of each recipient.
    """
    if not was_answered(email):
        return dict.fromkeys(recipients, otherwise)
    status = email.anymail_status
    said = _by_address(status.recipients)
    told = {
        address: _recipient_reply(said[_spelled(address)], status.esp_response, backend)
        for address in recipients
        if _spelled(address) in said
    }
    replies = {address: told.get(address, otherwise) for address in recipients}
    if {reply.verdict for reply in replies.values()} == {Verdict.UNAVAILABLE}:
        raise _failure_of(replies[recipients[0]], status.esp_response).as_error()
    return {address: _postponed(reply) for address, reply in replies.items()}  # some have it: it is about the others


def _by_address(statuses: dict[str, Any]) -> dict[str, Any]:
    """Return Anymail's status of each recipient, however the provider spells the address.

    Where it spells one in small letters, Anymail takes the other spelling for one that the answer does not name.
    """
    named = {_spelled(address): status for address, status in statuses.items() if status.status}
    return named | {
        _spelled(address): each for address, each in statuses.items() if each.status and each.message_id is not None
    }


def _spelled(address: str) -> str:
    local_part, _, domain = address.lower().rpartition("@")
    try:
        return f"{local_part}@{in_ascii(domain)}"
    except ValueError:
        return address.lower()


def _postponed(reply: Reply) -> Reply:
    """Return the reply, or as one for now what would be about nobody's mail."""
    return replace(reply, verdict=Verdict.POSTPONED) if reply.verdict == Verdict.UNAVAILABLE else reply


def _recipient_reply(said: Any, response: Any, backend: Any) -> Reply:
    """Return what Anymail's status of one recipient means, in the light of the whole answer."""
    answer, provider_id = answer_of(response), "" if said.message_id is None else str(said.message_id)
    receipt = Receipt(str(getattr(backend, "esp_name", "")), provider_id, said.status)
    text = f"{said.status}, id {provider_id}" if provider_id else said.status
    row = find_row_of_api(answer.status, answer.name, answer.text) if answer else None
    if said.status in ("invalid", "rejected", "failed"):
        text = f"{text}: {answer.text}" if answer and answer.text else text
        return Reply(_verdict_of_refusal(said.status, row, answer), text, sorted_as=row, receipt=receipt)
    if answer and not answer.is_yes:  # it is another recipient that is refused, and with that one all
        return Reply(Verdict.POSTPONED, text, sorted_as=NOT_NAMED_YET)
    # Anymail found nothing about it in the answer, or took for a yes whatever came.
    if (not provider_id and (said.status == "unknown" or _says_nothing(answer))) or (answer and not answer.is_readable):
        return Reply(Verdict.UNKNOWN, text)
    return Reply(Verdict.ACCEPTED, text, receipt=receipt)


def _says_nothing(answer: Answer | None) -> bool:
    return answer is not None and not answer.text and answer.status != ACCEPTED_FOR_LATER


def _verdict_of_refusal(status: str, row: Row | None, answer: Answer | None) -> Verdict:
    if status != "failed" or row is None or answer is None:
        return Verdict.REFUSED
    is_default = answer.is_yes and not re.search("error|fail|false|unavailable", answer.text, re.IGNORECASE)
    return Verdict.UNKNOWN if is_default else verdict_of(row)


def _failure_of(reply: Reply, response: Any) -> Failure:
    """Return the failure that the answer speaks of in the reply to a recipient."""
    answer = answer_of(response)
    pause = answer.pause if answer else None
    return Failure(reply.verdict, reply.text, say(reply.row.advice, "MAIL_TRANSPORT"), pause, reply.row)
