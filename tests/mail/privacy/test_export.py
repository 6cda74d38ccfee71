"""Exporting a person's mail: all that is theirs, nothing of the others."""

import json
from io import BytesIO
from zipfile import ZipFile

import pytest

from flasky.mail.models import OutboxMessage
from flasky.mail.privacy.export import export
from flasky.mail.privacy.trail import Person
from tests.mail.privacy.people import ANN, stored

pytestmark = pytest.mark.django_db


def exported(**person):
    """Return mail.json, and the other files by their names."""
    file = BytesIO()
    export(Person(**{name: frozenset(values) for name, values in person.items()}), file)
    with ZipFile(file) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(files.pop("mail.json")), files


def test_each_mail_is_listed_with_what_became_of_it_and_is_there_as_it_was():
    alone, about = stored(ANN), stored("admin@example.com", cause="accounts.user:17")
    content, files = exported(addresses=[ANN], causes=["accounts.user:17"])
    assert [(each["number"], each["is"]) for each in content["messages"]] == [
        (alone.pk, ["to you"]),
        (about.pk, ["about you"]),
    ]
    assert content["messages"][0]["outcomes"] == {ANN: {"accepted": True, "reply": f"250 ok {ANN}"}}
    assert content["messages"][0]["provider"][0]["id"] == f"id-{ANN}"
    assert files[f"messages/{alone.pk}.eml"] == bytes(alone.content)
    assert "as of 20" in files["README.txt"].decode()


def test_of_the_other_recipients_nothing_is_said():
    stored(ANN, bcc=["bob@example.com"])
    content, files = exported(addresses=[ANN])
    assert "bob" not in json.dumps(content)
    assert b"bob" not in b"".join(files.values())


def test_a_mail_of_others_that_names_the_person_is_listed_without_its_text():
    stored("bob@example.com", body=f"The truth about {ANN}")
    content, files = exported(addresses=[ANN])
    assert [(each["is"], each["file"]) for each in content["messages"]] == [(["with your address in it"], None)]
    assert list(files) == ["README.txt"]


def test_what_a_person_did_is_listed():
    message = stored("bob@example.com")
    OutboxMessage.objects.update(actor="Ann")
    message.actions.create(verb="held", actor="Ann")
    content, _files = exported(names=["Ann"])
    assert [each["is"] for each in content["messages"]] == [["caused by you"]]
    assert [(each["number"], each["verb"]) for each in content["actions"]] == [(message.pk, "held")]
