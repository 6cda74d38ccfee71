"""accounts.models: users by name."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.db.models.signals import post_save

from accounts.models import User
from flasky.mail.models import OutboxMessage

pytestmark = pytest.mark.django_db

VISIT_AT_ONCE = 8


@contextmanager
def failing_receiver():
    def fail(**signal):
        raise RuntimeError("a receiver failed")

    post_save.connect(fail, sender=User, weak=False)
    try:
        yield
    finally:
        post_save.disconnect(fail, sender=User)


def test_a_new_name_makes_a_user():
    user, is_new = User.objects.get_or_create_visitor("John")
    assert is_new
    assert User.objects.get() == user
    assert user.username == "John"


def test_a_known_name_finds_the_same_user():
    first, _ = User.objects.get_or_create_visitor("John")
    second, is_new = User.objects.get_or_create_visitor("John")
    assert not is_new
    assert second == first
    assert User.objects.count() == 1


def test_a_visitor_cannot_log_in_with_any_password_not_even_none(client):
    user, _ = User.objects.get_or_create_visitor("John")
    assert user.password.startswith("!")
    assert not user.has_usable_password()
    assert not client.login(username="John", password="")


def test_a_visitor_has_no_rights():
    user, _ = User.objects.get_or_create_visitor("John")
    assert not user.is_staff
    assert not user.is_superuser


def test_a_superuser_who_visits_the_form_keeps_the_password():
    User.objects.create_superuser("John", password="correct horse")
    user, is_new = User.objects.get_or_create_visitor("John")
    assert not is_new
    assert user.check_password("correct horse")


@pytest.mark.parametrize(("first", "second"), [("e\u0301", "é"), ("é", "e\u0301"), ("Ann", " Ann\u00a0")])
def test_one_name_typed_in_two_ways_is_one_user(first, second):
    assert User.objects.get_or_create_visitor(first)[1]
    assert not User.objects.get_or_create_visitor(second)[1]


@pytest.mark.parametrize(
    ("first", "second"), [("John", "john"), ("Ann", "Änn"), ("ﬁ", "fi"), ("ｓａｔｏ", "sato"), ("Anna Lee", "AnnaLee")]
)
def test_names_that_resemble_each_other_are_two_users(first, second):
    assert User.objects.get_or_create_visitor(first)[1]
    assert User.objects.get_or_create_visitor(second)[1]
    assert {user.username for user in User.objects.all()} == {first, second}


def test_a_name_is_told_in_the_form_in_which_it_is_stored():
    user, _ = User.objects.get_or_create_visitor("Rene\u0301")
    assert user.username == User.objects.values_list("username", flat=True).get() == "Ren\u00e9"


def test_a_name_is_looked_up_in_its_normal_form():
    User.objects.create(username="Ren\u00e9")
    assert User.objects.filter(username="Rene\u0301").exists()
    assert User.objects.get_by_natural_key("Rene\u0301")


@pytest.mark.parametrize("name", ["", "Ann\nLee", "Ann\0", "\u202eAnn", "\u200b", "x" * 65])
def test_validation_of_the_model_refuses_what_the_form_refuses(name):
    with pytest.raises(ValidationError) as refused:
        User(username=name, password="!").full_clean()
    assert list(refused.value.message_dict) == ["username"]


def test_a_name_taken_already_is_refused_with_a_sentence():
    User.objects.create(username="Ann")
    with pytest.raises(ValidationError, match="There is a user with this name already"):
        User(username="Ann", password="!").full_clean()


@pytest.mark.django_db(transaction=True)
def test_a_failing_receiver_leaves_neither_user_nor_mail():
    with failing_receiver(), pytest.raises(RuntimeError, match="a receiver failed"):
        User(username="Ann").save()
    assert not User.objects.exists()
    assert not OutboxMessage.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_failing_receiver_undoes_a_change_too():
    user = User.objects.create(username="Ann")
    user.first_name = "Ann"
    with failing_receiver(), pytest.raises(RuntimeError, match="a receiver failed"):
        user.save(update_fields=["first_name"])
    user.refresh_from_db()
    assert user.first_name == ""


@pytest.mark.parametrize(("typed", "stored"), [("Rene\u0301", "Ren\u00e9"), ("ﬁ", "ﬁ"), (" ｓａｔｏ ", "ｓａｔｏ")])
def test_a_superuser_gets_a_name_as_a_visitor_does(typed, stored):
    assert User.objects.create_superuser(typed).username == stored
    assert User.objects.get(username=typed).is_superuser


def test_the_command_createsuperuser_takes_a_name_with_a_space_and_keeps_its_letters():
    call_command("createsuperuser", interactive=False, username="Rene\u0301 ﬁ O'Brien", email="", verbosity=0)
    assert User.objects.get().username == "Ren\u00e9 ﬁ O'Brien"
    assert OutboxMessage.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_visitors_who_type_a_new_name_at_once_one_is_new():
    together = threading.Barrier(VISIT_AT_ONCE, timeout=60)

    def visit(_):
        try:
            together.wait()
            return User.objects.get_or_create_visitor("Ann")
        finally:
            connection.close()

    with ThreadPoolExecutor(VISIT_AT_ONCE, "visitor") as visitors:
        visits = list(visitors.map(visit, range(VISIT_AT_ONCE)))
    assert sorted(is_new for _, is_new in visits) == [False] * (VISIT_AT_ONCE - 1) + [True]
    assert {user for user, _ in visits} == {User.objects.get()}
    assert OutboxMessage.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["Ann\0", "\udc80"])
def test_what_no_database_can_look_for_is_nobodys_name(name):
    with pytest.raises(User.DoesNotExist):
        User.objects.get_by_natural_key(name)
