"""List the tabs of the list: one for each state, and a few of other kinds."""

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from flasky.mail.models import OutboxMessageQuerySet, State


@dataclass(frozen=True)
class Tab:
    name: str  # in the query string
    label: str | Promise
    choose: Callable[[OutboxMessageQuerySet], OutboxMessageQuerySet]
    state: State | None = None  # of all that it shows


def _tab_of(state: State) -> Tab:
    return Tab(state.value, state.label, lambda messages: messages.filter(state=state), state)


TABS = (
    Tab("", _("All"), lambda messages: messages),
    _tab_of(State.QUEUED),
    Tab("later", _("Due later"), lambda messages: messages.due_later(), State.QUEUED),
    *(_tab_of(state) for state in State if state != State.QUEUED),
    Tab("duplicates", _("Possible duplicates"), lambda messages: messages.filter(possible_duplicate=True)),
)
