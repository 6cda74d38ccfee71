"""The sentences that people read: where they stand in the source, and what the catalogues have of them."""

import ast
import re
import struct
from gettext import GNUTranslations
from pathlib import Path

from django.utils.translation.template import templatize

ROOT = Path(__file__).parents[1]
APPS = ("flasky/mail", "flasky/drill")  # distributed, each with its own catalogue
OF_THE_SITE = ("accounts", "flasky", "manage.py")
PLURALS = ("ngettext", "ngettext_lazy")
CONTEXTS = ("pgettext", "pgettext_lazy")
SINGLE = ("_", "gettext", "gettext_lazy", "gettext_noop")
GETTEXT = {*PLURALS, *CONTEXTS, *SINGLE}
TEXT = r"""(u?'(?:[^'\\]|\\.)*'|u?"(?:[^"\\]|\\.)*")"""
CALL = re.compile(rf"\b(ngettext|pgettext|gettext|_)\({TEXT}(?:, {TEXT})?")
TEMPLATES = "**/templates/**/*.*"


def key(function, texts):
    """Return the sentence as the catalogue has it: behind its context, without its plural."""
    return "\4".join(texts[:2]) if function in CONTEXTS else texts[0]


def in_python(path):
    for call in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in GETTEXT:
            texts = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
            if texts:  # that nothing else is given to them is for test_sentences.py
                yield key(call.func.id, texts)


def in_template(path):
    for found in CALL.finditer(templatize(path.read_text("utf-8"))):
        yield key(found[1], [ast.literal_eval(text) for text in found.groups()[1:] if text])


def sentences(app=""):
    """Return those of an app; without one, of all that is the site's own."""
    python, templates = (
        ([ROOT / app], (ROOT / app).glob(TEMPLATES))
        if app
        else ([ROOT / part for part in OF_THE_SITE], (ROOT / "templates").glob("**/*.*"))
    )
    files = [file for part in python for file in (part.rglob("*.py") if part.is_dir() else [part])]
    ours = [
        file
        for file in files
        if app or not file.relative_to(ROOT).as_posix().startswith(tuple(f"{each}/" for each in APPS))
    ]
    found = {sentence for file in ours for sentence in in_python(file)}
    return found | {sentence for file in templates for sentence in in_template(file)}


def written(path):
    """Return what the .po file has: the translations by sentence."""
    found = {}
    for entry in path.read_text("utf-8").split("\n\n"):
        fields, last = {}, ""
        for field, text in re.findall(r'(?m)^(?:(msg\w+)(?:\[\d\])? )?("(?:[^"\\]|\\.)*")$', entry):
            last = field or last
            fields[last] = fields.get(last, "") + ast.literal_eval(text)
        context = [fields["msgctxt"]] if "msgctxt" in fields else []
        if fields.get("msgstr") and "#, fuzzy" not in entry:
            found["\4".join([*context, fields["msgid"]])] = fields["msgstr"]
    return found


def compiled(path):
    with path.with_suffix(".mo").open("rb") as file:
        catalogue = GNUTranslations(file)._catalog
    return {key[0] if isinstance(key, tuple) else key: text for key, text in catalogue.items() if key}


def compile_to(path, translations):
    """Write a compiled catalogue of a language without plurals, as msgfmt does: not every machine has it."""
    header = {"": "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=1; plural=0;\n"}
    pairs = [[text.encode() for text in pair] for pair in sorted((header | translations).items())]
    at, positions = 28 + 16 * len(pairs), []
    data = b""
    for texts in zip(*pairs, strict=True):
        for text in texts:
            positions += [len(text), at + len(data)]
            data += text + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, at)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + struct.pack(f"<{len(positions)}I", *positions) + data)
