"""Sentences that people read are whole, so that a translator can turn them round; no part of them is made by hand."""

import ast
import re

import pytest

from tests.pseudo import READ_ATTRIBUTES
from tests.translations import GETTEXT, ROOT

RECORDERS = ("transports", "delivery", "limits", "db", "wire", "storing", "runtime", "dispatchers")
FORWARDED = ROOT / "flasky/mail/storing/copies.py"  # the text of the mail to whoever asks for a copy
SOURCES = [
    *(
        path
        for folder in ("flasky", "accounts")
        for path in (ROOT / folder).rglob("*.py")
        if "migrations" not in path.parts
    ),
    ROOT / "manage.py",
]
# These log, store, speak SMTP and HTTP, and talk to programmers and to programs, all in English. What is stored of it
# is made of sentences that are marked (status/in_their_words.py). People read whatever is not named here.
NOT_READ = [
    *(ROOT / "flasky/mail" / room for room in (*RECORDERS, "models", "monitoring")),
    *(
        ROOT / "flasky/mail" / name
        for name in ("__init__.py", "backend.py", "compat.py", "signals.py", "migrating/online.py")
    ),
    ROOT / "flasky/mail/privacy/export.py",  # JSON
    *(ROOT / "flasky/faults" / name for name in ("identity.py", "report.py")),  # a traceback in other words
    *(ROOT / "flasky" / name for name in ("databases/gate.py", "drill/relay.py", "guard", "settings.py")),
    *(ROOT / name for name in ("accounts/metrics.py", "manage.py")),  # without Django nothing is translated
]
READ = [path for path in SOURCES if path == FORWARDED or not any(path.is_relative_to(place) for place in NOT_READ)]
INTERNAL = ("logger.", "strangers.", "re.compile", "Limit", "count_limited")  # what is given to them is not shown
BRAND = "Flasky"
TEMPLATES = [*(ROOT / "flasky/mail/templates").rglob("*.*"), *(ROOT / "templates").rglob("*.*")]
SCRIPTS = [*(ROOT / "flasky").rglob("static/**/*.js")]
SENTENCE = re.compile(r"[A-Za-z]{2,}[,:;.]? [A-Za-z]+[,:;.]? [A-Za-z]{2,}")
WORDS = re.compile(r"[A-Za-z]{2,}[,:;]? [A-Za-z]{2,}|^ ?[a-z]{2,} ?$")
CODE = re.compile(r"<|-src\b|^import |^log-ins |^(PRAGMA|SET|SELECT) |^ ?\(?manage.py \w+( --at )?\)?$")
NAMES_IN_DATES = re.compile(r"%[aAbBpcxX]")


def name(path):
    return path.relative_to(ROOT).as_posix()


def wrong_calls(tree):
    """Yield what is given to gettext and is not a constant with named placeholders."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in GETTEXT:
            texts = call.args[:2] if call.func.id.startswith(("ng", "pg")) else call.args[:1]
            for text in texts:
                if not isinstance(text, ast.Constant) or re.search(r"%[sd]|\{\}", text.value):
                    yield f"line {call.lineno}: {ast.unparse(call)}"


def glued(tree):
    """Yield the sentences that are glued of fragments, but for those that no page shows: exceptions and logs."""
    for node in unquoted(tree):
        if isinstance(node, ast.JoinedStr):
            pieces = [piece.value for piece in node.values if isinstance(piece, ast.Constant)]
            holes = [hole.value for hole in node.values if isinstance(hole, ast.FormattedValue)]
            has_words = any(WORDS.search(piece) for piece in pieces if not CODE.search(piece))
            if has_words or any(is_ending(hole) for hole in holes):
                yield f"line {node.lineno}: {ast.unparse(node)}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "strftime":
            yield f"line {node.lineno}: {ast.unparse(node)}"
        if isinstance(node, ast.FormattedValue) and node.format_spec and "," in ast.unparse(node.format_spec):
            yield f"line {node.lineno}: {ast.unparse(node)}"
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAMES_IN_DATES.search(node.value):
            yield f"line {node.lineno}: {node.value}"


def is_ending(hole):
    """Tell whether this puts a fragment of a sentence there or not, such as the s of a plural."""
    branches = [hole.body, hole.orelse] if isinstance(hole, ast.IfExp) else []
    return any(
        isinstance(branch, ast.Constant) and re.fullmatch(r"[\w ,.']+", str(branch.value)) for branch in branches
    )


def unmarked(node):
    """Yield the sentences that nobody can translate: they are given to no gettext."""
    name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    is_raised = isinstance(node, ast.Raise) and not re.search(
        "ValidationError|CommandError|TypeError", ast.unparse(node)
    )
    if name in GETTEXT or name.startswith(INTERNAL) or is_docstring or is_raised:
        return
    text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
    if SENTENCE.search(text) and not CODE.search(text):
        yield f"line {node.lineno}: {text}"
    for child in ast.iter_child_nodes(node):
        yield from unmarked(child)


def unmarked_in_template(source):
    """Yield the words of a template that are in no tag of translation, those of attributes that are read out too."""
    source = re.sub(r"(?s){% comment %}.*?{% endcomment %}|{#.*?#}|<!--.*?-->", "", source)
    source = re.sub(r"(?s){% blocktranslate.*?{% endblocktranslate %}", "", source)
    source = re.sub(r"(?s){%.*?%}|{{.*?}}", "\0", source)
    source = re.sub(r"(?s)<(style|script|title lang)\b.*?</\1>", "", source)
    attributes = re.findall(rf'\b(?:{"|".join(READ_ATTRIBUTES)})="([^"]*)"', source)
    for text in [*attributes, *re.split(r"(?s)<[^>]*>", source)]:
        if re.search(r"[A-Za-z]{2,}", re.sub(rf"&\w+;|{BRAND}", "", text)):
            yield " ".join(text.split())


def unquoted(node):
    is_logged = isinstance(node, ast.Call) and ast.unparse(node.func).startswith("logger.")
    is_raised = isinstance(node, ast.Raise) and "ValidationError" not in ast.unparse(node)  # a form shows that one
    if is_logged or is_raised:
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from unquoted(child)


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_gettext_gets_whole_sentences(path):
    assert list(wrong_calls(ast.parse(path.read_text("utf-8")))) == []


@pytest.mark.parametrize("path", READ, ids=name)
def test_no_sentence_is_glued_of_fragments(path):
    assert list(glued(ast.parse(path.read_text("utf-8")))) == []


@pytest.mark.parametrize("path", READ, ids=name)
def test_no_sentence_is_without_its_mark(path):
    assert list(unmarked(ast.parse(path.read_text("utf-8")))) == []


@pytest.mark.parametrize("path", [path for path in TEMPLATES if path.suffix in (".html", ".txt")], ids=name)
def test_no_word_of_a_template_is_without_its_mark(path):
    assert list(unmarked_in_template(path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path.parent.name in RECORDERS and path != FORWARDED], ids=name
)
def test_what_is_logged_and_stored_is_only_marked_for_translation(path):
    """It is English, whatever language the thread happens to speak that stores it."""
    imports = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]
    names = {each.name for node in imports if node.module == "django.utils.translation" for each in node.names}
    assert names <= {"gettext_noop"}


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_templates_leave_plurals_and_dates_to_the_language(path):
    source = path.read_text("utf-8")
    assert not re.search(r"\|pluralize|\|date:(?!'c')|<html lang=\"en\"", source)


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_scripts_take_their_words_from_the_page(path):
    code = re.sub(r"(?m)//.*$", "", path.read_text("utf-8"))
    literals = re.findall(r"\"([^\"]*)\"|`([^`]*)`", code)
    assert [
        text for pair in literals for text in pair if text != "use strict" and re.search(r"[a-z] [a-z]", text)
    ] == []


@pytest.mark.parametrize(
    "source",
    [
        '_(f"It is {state}")',
        '_("It is %s")',
        '_("It is " + state)',
        'ngettext("one", f"{n}", n)',
    ],
)
def test_what_nobody_can_translate_is_noticed(source):
    assert list(wrong_calls(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        'f"It was cancelled{by_whom}."',
        'f"{count} message{"" if one else "s"}"'.replace('""', "''").replace('"s"', "'s'"),
        'f"{count:,}"',
        'day.strftime("%d")',
        'f"{day:%b %Y}"',
        'f"{count} left"',
    ],
)
def test_what_is_glued_is_noticed(source):
    assert list(glued(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        'checks.Error("This is wrong here.", hint="Mend it at once.")',
        'raise CommandError("There is no mail.")',
        'parser.add_argument("--all", help="all that there is")',
        'f"{count} of all mails are lost"',
        'SENTENCE = "It was said before."',
        '_("Marked: all is well.") + " But this is not."',
    ],
)
def test_what_is_not_marked_is_noticed(source):
    assert list(unmarked(ast.parse(source)))


@pytest.mark.parametrize(
    "source", ["<p>Hello</p>", '<img alt="a picture">', "{% if x %}Yes{% endif %}", '{% translate "One" %} and two']
)
def test_what_is_not_marked_in_a_template_is_noticed(source):
    assert list(unmarked_in_template(source))
