"""docs/providers.md: what its tables say of each provider is what the code does."""

import inspect
import re
from importlib import import_module

import pytest
from anymail.backends.base import BasePayload
from django.utils.module_loading import import_string

from flasky.mail.transports.providers import PROVIDERS
from tests.docs.pages import ROOT
from tests.mail.transports.test_every_provider import BY_HTTP, REFUSALS, TAKEN

LINES = [line.strip("| ") for line in (ROOT / "docs/providers.md").read_text("utf-8").splitlines()]
ROWS = [[cell.strip() for cell in re.split(r" ?\| ?", line)] for line in LINES]
PROVIDER_ROWS = {row[0].strip("`"): row[1:] for row in ROWS if len(row) == 6 and row[0].strip("`") in TAKEN}
MEANINGS = {row[0]: row[1] for row in ROWS if len(row) == 4}
OPTIONS = [attribute for attribute, _, _ in BasePayload.anymail_message_attrs if attribute != "send_at"]


def code(cell):
    return re.findall(r"`([^`]+)`", cell)


def provider(name):
    return PROVIDERS[import_string(f"anymail.backends.{name}.EmailBackend").esp_name]


def test_each_provider_has_a_row():
    assert PROVIDER_ROWS.keys() == TAKEN.keys()


@pytest.mark.parametrize("name", TAKEN)
def test_a_row_names_what_a_provider_needs_takes_and_lacks(name):
    needs, lacks, headers, our_id, _ = PROVIDER_ROWS[name]
    known = provider(name)
    assert {f"ANYMAIL_{name.upper()}_{each.upper()}" for each in known.needs} <= {*code(needs)}
    assert {each.lower() for each in code(headers)} == known.headers
    assert (our_id.startswith("metadata"), "a key for repeats" in our_id) == (known.has_metadata, bool(known.key))
    assert {*code(lacks)} - {"Reply-To"} == {each for each in OPTIONS if not can(name, each)}


def can(name, attribute):
    module = import_module(f"anymail.backends.{name}")
    kinds = [each for each in vars(module).values() if inspect.isclass(each) and each.__module__ == module.__name__]
    payload = next(each for each in kinds if each.__name__.endswith("Payload") and "Base" not in each.__name__)
    return getattr(payload, f"set_{attribute}") is not getattr(BasePayload, f"set_{attribute}")


@pytest.mark.parametrize("name", TAKEN)
def test_each_word_of_a_provider_is_tried_with_the_meaning_that_the_row_says(name):
    for part in PROVIDER_ROWS[name][-1].split("; "):
        meaning, _, words = part.partition(": ")
        meaning = meaning.replace("a repeat", "later")
        said = b"\n".join(answer for expected, answer in REFUSALS[name] if expected == meaning)
        assert code(words)
        assert all(word.encode() in said for word in code(words)), (meaning, words)


def test_each_status_by_http_is_tried_with_the_meaning_that_the_row_says():
    tried = {(expected, said.split()[1].decode()) for expected, said in BY_HTTP if said[:9] == b"HTTP/1.1 "}
    for meaning, status in tried - {("unknown", "200")}:
        assert status in MEANINGS[meaning] or f"{status[0]}xx" in MEANINGS[meaning], (meaning, status)
