"""Write the rules of a style sheet into the elements of a mail, because some mail programs read no other.

css-inline works out once in a process what each combination of classes looks like; a mail costs a look-up for each of
its elements. Without that package all rules stay in the head of the mail, where most programs read them.
"""

import re
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

css_inline: Any = import_module("css_inline") if find_spec("css_inline") else None

END_OF_HEAD = "</head>"
WITH_CLASS = re.compile(r'<[a-z][a-z0-9]* class="([^"<>]*)"(?! style=)')
STYLE = re.compile(r' style="[^"]*"')
COMMENT = re.compile(r"/\*.*?\*/\s*", re.DOTALL)


def inline(html: str, css: str) -> str:
    """Return the mail with the style of each element whose first attribute is its class, and the rest in its head."""
    if css_inline is None:
        return html.replace(END_OF_HEAD, _in_head(css) + END_OF_HEAD, 1)
    of_elements, of_head = _parts(css)
    styled = WITH_CLASS.sub(lambda found: found[0] + _style_of(found[1], of_elements), html)
    return styled.replace(END_OF_HEAD, _in_head(of_head) + END_OF_HEAD, 1)


@lru_cache(10)
def _parts(css: str) -> tuple[str, str]:
    of_elements, _, of_head = css.rpartition("/*")
    return of_elements or css, f"/*{of_head}" if of_elements else ""


@lru_cache(1000)
def _style_of(classes: str, css: str) -> str:
    """Return the attribute by which an element looks as its classes want it; nothing if they want nothing."""
    found = STYLE.search(css_inline.inline_fragment(f'<div class="{classes}"></div>', css))
    return found[0] if found else ""


@lru_cache(10)
def _in_head(css: str) -> str:
    return f"<style>\n{COMMENT.sub('', css).strip()}\n</style>\n"
