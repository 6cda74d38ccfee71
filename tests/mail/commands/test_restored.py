"""manage.py restored: after a database was put back from a copy nothing is repeated without a mark."""

import itertools
from collections import Counter
from datetime import timedelta

import pytest
from django.core import serializers
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command
from django.utils import timezone

from flasky.mail.delivery.drain import Drain
from flasky.mail.models import Action, Attempt, OutboxMessage, Process, RelayOutage, State
from flasky.mail.runtime import clock
from tests.conftest import use_relay
from tests.scripted_relay import ScriptedRelay

pytestmark = pytest.mark.django_db(transaction=True)

numbers = itertools.count(1)


@pytest.fixture
def relay(settings):
    with ScriptedRelay() as relay:
        use_relay(settings, relay)
        yield relay


@pytest.fixture
def output(capsys):
    return lambda: capsys.readouterr().out


def store(**fields):
    email = EmailMessage(f"Mail {next(numbers)}", "Hello", "ann@example.com", ["b@example.com"])
    email.send()
    OutboxMessage.objects.filter(pk=email.outbox_message.pk).update(**fields)
    return email.outbox_message


def now():
    return clock.now().isoformat()


def copy():
    return serializers.serialize("json", OutboxMessage.objects.all())


def put_back(copied):
    OutboxMessage.objects.all().delete()
    for row in serializers.deserialize("json", copied):
        row.save()


def deliver():
    Drain(lambda: False).run(lambda total: None)


def repeated_in_silence(relay):
    copies = Counter(relay.accepted)
    unmarked = OutboxMessage.objects.filter(possible_duplicate=False).values_list("message_id", flat=True)
    return [each for each in unmarked if copies[each] > 1]


def lose_an_hour(relay):
    """Copy an outbox in which mail waits; let it all leave, and more be stored; put the copy back."""
    store()
    deliver()
    for _ in range(3):
        store()
    [claimed] = OutboxMessage.objects.claim(1)
    copied, at = copy(), now()
    OutboxMessage.objects.filter(pk=claimed.pk).give_back(claimed.claim_token)
    deliver()
    store()
    deliver()
    put_back(copied)
    return at


def test_without_it_mails_are_repeated_in_silence(relay):
    """The tests below can fail."""
    lose_an_hour(relay)
    deliver()
    assert repeated_in_silence(relay)


def test_marked_each_repeat_has_a_mark_and_its_history_says_why(relay, output):
    at = lose_an_hour(relay)
    call_command("restored", at=at, mark=True)
    assert "3 messages marked as possible duplicates, of them 0 held" in output()
    OutboxMessage.objects.filter(state=State.SENDING).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    deliver()
    assert not repeated_in_silence(relay)
    assert max(Counter(relay.accepted).values()) == 2
    assert set(OutboxMessage.objects.values_list("state", flat=True)) == {State.SENT}
    assert Action.objects.filter(verb=Action.Verb.RESTORED, actor__startswith="manage.py restored --at 2").count() == 3


def test_held_nothing_leaves_until_a_person_decides_and_then_it_has_a_mark(relay):
    at = lose_an_hour(relay)
    call_command("restored", at=at, hold=True)
    deliver()
    assert max(Counter(relay.accepted).values()) == 1
    assert OutboxMessage.objects.filter(state=State.HELD, claim_token=None, possible_duplicate=True).count() == 3
    assert OutboxMessage.objects.release("ann") == 3
    deliver()
    assert not repeated_in_silence(relay)


def test_what_failed_is_marked_too_for_somebody_may_have_tried_again_since():
    failed, cancelled = store(state=State.FAILED), store(state=State.CANCELLED)
    call_command("restored", at=now(), hold=True)
    marked = OutboxMessage.objects.filter(possible_duplicate=True)
    assert dict(marked.values_list("pk", "state")) == {failed.pk: State.FAILED, cancelled.pk: State.CANCELLED}


def test_what_was_sent_before_the_copy_has_no_mark_and_what_was_since_has_one():
    an_hour_ago = timezone.now() - timedelta(hours=1)
    before = {"state": State.SENT, "created_at": an_hour_ago - timedelta(hours=1)}
    store(**before, finished_at=an_hour_ago - timedelta(minutes=1))
    since = store(**before, finished_at=an_hour_ago + timedelta(minutes=1))
    call_command("restored", at=an_hour_ago.isoformat(), mark=True)
    assert OutboxMessage.objects.get(possible_duplicate=True) == since


def test_without_a_choice_it_counts_and_changes_nothing(output):
    store()
    store(state=State.HELD)
    at = now()
    store()
    call_command("restored", at=at)
    said = output()
    assert "1 messages that wait and may have left since, 1 that are held" in said
    assert "Later: 1 messages" in said
    assert "Nothing is changed" in said
    assert not OutboxMessage.objects.filter(possible_duplicate=True).exists()


@pytest.mark.parametrize("what", ["mark", "hold"])
def test_again_it_finds_nothing_more(output, what):
    store()
    at = now()
    call_command("restored", at=at, **{what: True})
    output()
    call_command("restored", at=at, **{what: True})
    assert "0 messages marked" in output()
    assert Action.objects.count() == 1


def test_a_time_that_may_be_too_early_is_refused_and_what_was_stored_since_can_be_left_alone():
    """The copy may be younger than one thinks, and what is left out is repeated in silence."""
    at = now()
    message = store()
    with pytest.raises(CommandError, match="1 messages are younger than that"):
        call_command("restored", at=at, mark=True)
    call_command("restored", at=at, hold=True, leave_younger=True)
    message.refresh_from_db()
    assert (message.state, message.possible_duplicate) == (State.QUEUED, False)


def test_a_whole_second_is_meant_to_its_end():
    """As `date` writes it."""
    moment = timezone.now().replace(microsecond=0) - timedelta(seconds=5)
    message = store(created_at=moment + timedelta(seconds=0.9))
    call_command("restored", at=moment.isoformat(), mark=True)
    assert OutboxMessage.objects.get(possible_duplicate=True) == message


def test_what_the_mail_budget_held_stays_with_people(settings, relay):
    settings.MAIL_BUDGET_TOTAL = (1,)
    store()
    over = store()
    call_command("restored", at=now(), hold=True)
    settings.MAIL_BUDGET_TOTAL = ()
    deliver()
    over.refresh_from_db()
    assert (over.state, over.possible_duplicate) == (State.HELD, True)


def test_new_messages_have_numbers_that_no_lost_one_had():
    newest = store().pk
    at = now()
    for _ in range(2):
        call_command("restored", at=at, mark=True)
    number = store().pk
    assert newest + 100_000 <= number < newest + 100_010


def test_the_processes_and_outages_of_before_are_forgotten():
    Process.objects.create(name="web-1 42", threads=4)
    Process.objects.update(seen_at=timezone.now() - timedelta(days=1))
    RelayOutage.objects.note("a:25", "It was away.", timezone.now())
    call_command("restored", at=now(), mark=True)
    assert not Process.objects.exists()
    assert not RelayOutage.objects.exists()


def test_it_refuses_while_somebody_delivers():
    store()
    Process.objects.heartbeat("web-1 42", 4)
    with pytest.raises(CommandError, match="Stop first whoever delivers: web-1 42"):
        call_command("restored", at=now(), mark=True)
    assert not OutboxMessage.objects.filter(possible_duplicate=True).exists()


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-11-28", "2026-13-01T00:00", "2026-11-28T25:00", "03:00", "1764300000", "\x00:"]
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(CommandError, match="write a day and a time of it"):
        call_command("restored", at=text, mark=True)


def test_a_time_to_come_is_refused():
    later = (timezone.now() + timedelta(minutes=1)).isoformat()
    with pytest.raises(CommandError, match="which is still to come"):
        call_command("restored", at=later, mark=True)


def test_a_time_without_a_zone_is_of_the_sites(settings):
    settings.TIME_ZONE = "Asia/Tokyo"
    nine_hours = timedelta(hours=9)
    message = store()
    call_command("restored", at=f"{timezone.now() + nine_hours:%Y-%m-%d %H:%M:%S.%f}", mark=True)
    message.refresh_from_db()
    assert message.possible_duplicate


def test_no_attempt_is_made_up():
    store()
    call_command("restored", at=now(), mark=True)
    assert not Attempt.objects.exists()
