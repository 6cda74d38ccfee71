"""Which columns delivery reads, an attempt changes, the list shows and a copy leaves out: no column is forgotten."""

import pytest
from django.core.mail import EmailMessage

from flasky.mail.delivery.recording import CHANGED, NOTED
from flasky.mail.models import Attempt, OutboxMessage
from flasky.mail.models.claims import FOR_DELIVERY
from flasky.mail.storing.copies import OF_THE_ORIGINAL
from flasky.mail.web.search import FOR_LISTS

NAMED = {*FOR_DELIVERY, *CHANGED, *FOR_LISTS, *OF_THE_ORIGINAL}
IN_NO_LIST = {"message_id", "from_header", "priority", "first_recipient", "kind", "cause", "source", "actor"}


def columns(model):
    return {field.attname for field in model._meta.concrete_fields}


@pytest.mark.parametrize("name", sorted(columns(OutboxMessage)))
def test_somebody_has_decided_who_needs_the_column(name):
    assert name in NAMED | IN_NO_LIST, (
        f"Decide about the new column {name}. Does delivery need it? Then name it in FOR_DELIVERY (models/claims.py). "
        "Does the end of an attempt change it? CHANGED (delivery/recording.py). Does the list of messages show it? "
        "FOR_LISTS (web/search.py). Is it not for the new message when this one is sent again? OF_THE_ORIGINAL "
        "(storing/copies.py). Otherwise name it in IN_NO_LIST here."
    )


def test_no_list_names_a_column_that_is_gone_or_one_that_needs_no_list():
    assert columns(OutboxMessage) >= NAMED
    assert columns(OutboxMessage) - NAMED == IN_NO_LIST


def test_all_of_an_attempt_is_noted_when_it_ends():
    assert {*NOTED} == columns(Attempt) - {"id"}


@pytest.mark.django_db
def test_a_claim_reads_what_delivery_needs_and_nothing_else():
    EmailMessage("Hi", "Hello", "a@example.com", ["b@example.com"]).send()
    [claimed] = OutboxMessage.objects.claim(1)
    assert claimed.get_deferred_fields() == columns(OutboxMessage) - {"id", *FOR_DELIVERY}
