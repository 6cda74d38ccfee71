"""accounts.reserved: nobody calls themselves admin, however it is written."""

import pytest

from accounts.models import User
from accounts.reserved import is_reserved
from flasky.env import names
from flasky.settings import NAMES_OF_OUR_PEOPLE

TAKEN = [
    "root",
    "Admin",
    "ADMINISTRATOR",
    "a d m i n",
    "a.d.m.i.n.",
    "_admin_",
    "Ａｄｍｉｎ",  # full width
    "𝐚𝐝𝐦𝐢𝐧",  # mathematical
    "ⓐⓓⓜⓘⓝ",
    "аdmin",  # the first letter is Cyrillic
    "αdmin",  # Greek
    "ɑdmın",
    "àdmín",
    "a\u0336d\u0336m\u0336i\u0336n\u0336",  # struck out
    "adm1n",
    "r00t",
    "rооt",
    "гооt",
    "supp0rt",
    "5upport",
    "Мailer-Daemon",
    "no reply",
    "rnoderator",
    "F1asky",
    "administrat\u200dor",
]
FREE = [
    "Ann",
    "Rudi Root",
    "Rooth",
    "Adminah",
    "Roo",
    "Su",
    "Анна",
    "Владимир",
    "Σοφία",
    "Ἀδμινίς",
    "王",
    "😀",
    "1",
    "-",
]


@pytest.mark.parametrize("name", TAKEN)
def test_what_looks_like_the_sites_own_people_is_kept_for_them(name):
    assert is_reserved(name)


@pytest.mark.parametrize("name", FREE)
def test_other_names_are_free(name):
    assert not is_reserved(name)


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["root", "аdmin"])
def test_the_form_refuses_them_and_says_why(client, name):
    page = client.post("/", {"name": name}).content.decode()
    assert "This name is kept for the people who look after this site." in page
    assert not User.objects.exists()


@pytest.mark.django_db
def test_an_administrator_may_be_called_so(client):
    User.objects.create_superuser("root", password="correct horse battery")
    assert client.post("/admin/login/?next=/admin/", {"username": "root", "password": "correct horse battery"}).url
    assert client.post("/", {"name": "root"}).status_code == 200  # but not by the form


def test_the_list_is_a_setting(settings):
    settings.RESERVED_NAMES = names("Boss, Chef")
    assert is_reserved("b0ss")
    assert not is_reserved("root")
    settings.RESERVED_NAMES = names("-")
    assert not is_reserved("root")


def test_no_name_of_the_list_is_a_given_name_too():
    assert "root" in NAMES_OF_OUR_PEOPLE
    assert not {"su", "guy", "mark"} & set(NAMES_OF_OUR_PEOPLE)
