"""flasky.mail.web.neighbours: previous and next on a message's page, in the list that the person came from."""

from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.utils import timezone

from flasky.mail.models import OutboxMessage, State
from flasky.mail.web.neighbours import neighbours
from flasky.mail.web.search import Listing

pytestmark = pytest.mark.django_db

LIST = "/admin/flasky_mail/outboxmessage/"


def store(minute=0, **changes):
    email = EmailMessage("Hi", "Hello", "ann@example.com", ["bob@example.com"])
    email.send()
    moment = timezone.now().replace(second=0, microsecond=0) + timedelta(minutes=minute)
    OutboxMessage.objects.filter(pk=email.outbox_message.pk).update(created_at=moment, **changes)
    return OutboxMessage.objects.get(pk=email.outbox_message.pk)


def test_the_neighbours_are_the_next_in_time_and_of_one_moment_the_next_number():
    first, second, third = store(), store(), store(1)
    assert neighbours(Listing({}), second) == (third.pk, first.pk)
    assert neighbours(Listing({}), third) == (None, second.pk)
    assert neighbours(Listing({}), first) == (second.pk, None)


@pytest.mark.parametrize("query", [{"tab": "failed"}, {"q": "rare"}, {"kind": "a"}])
def test_the_neighbours_are_those_of_the_list(query):
    fields = {"state": State.FAILED, "subject": "Rare", "kind": "a"}
    old, _other, chosen = store(0, **fields), store(1), store(2, **fields)
    assert neighbours(Listing(query), chosen) == (None, old.pk)


def test_what_has_left_its_tab_still_leads_on():
    old, chosen, new = store(0, state=State.FAILED), store(1), store(2, state=State.FAILED)
    assert neighbours(Listing({"tab": "failed"}), chosen) == (new.pk, old.pk)
    assert neighbours(Listing({"q": "nothing"}), chosen) == (None, None)


def test_the_page_leads_on_within_the_list_and_back(viewer):
    old, new = store(0, state=State.FAILED), store(1, state=State.FAILED)
    listed = viewer.get(f"{LIST}?tab=failed").content.decode()
    assert f'href="{LIST}{new.pk}/change/?list=tab%3Dfailed"' in listed
    page = viewer.get(f"{LIST}{new.pk}/change/?list=tab%3Dfailed").content.decode()
    assert f'<a href="{LIST}{old.pk}/change/?list=tab%3Dfailed" rel="next">Older</a>' in page
    assert f'<a href="{LIST}?tab=failed">Back to the list</a>' in page
