"""Ask with a count before people act on messages, and answer with what was done."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.core.validators import validate_email
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from flasky.mail.models import OutboxMessage
from flasky.mail.status.written import joined, listed, number
from flasky.mail.web.about import Objects
from flasky.mail.web.actions import (
    MOST_AT_ONCE,
    ActionRequest,
    Operation,
    OperationResult,
    last_action,
    perform,
    possible,
)
from flasky.mail.web.links import Url, admin_pages, way_to_list
from flasky.mail.web.operations import CORRECT, OPERATIONS, wrong_address
from flasky.mail.web.permissions import may_act, may_open
from flasky.mail.web.search import Listing

EXAMPLES = 5  # subjects on the page that asks


class ActionPages(admin.ModelAdmin):
    """Let those who may change messages act on them; the messages' content stays as it is."""

    act_template = "flasky_mail/admin/act.html"

    @property
    def url(self) -> Url:
        return admin_pages(self.admin_site.name)

    def operations(self, request: HttpRequest, message: OutboxMessage | None = None) -> list[Operation]:
        """Return what the viewer may do, to this message or in general."""
        if not may_act(request):
            return []
        offered = [operation for operation in OPERATIONS if may_open(request) or not operation.eligible.shows_it]
        return [operation for operation in offered if message is None or operation.eligible.includes(message)]

    def corrected_address(self, request: HttpRequest, message: OutboxMessage) -> str:
        """Return the address that the viewer may correct; nothing if that would not help, or they may not."""
        may_correct = may_act(request) and may_open(request) and CORRECT.eligible.includes(message)
        return wrong_address(message) if may_correct else ""

    def get_urls(self) -> list[Any]:
        return [self.page("act/", self.act_view, "act"), *super().get_urls()]

    def page(self, route: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
        """Return the URL pattern of one of our own pages, named as Django names its own."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_{name}"
        return path(route, self.admin_site.admin_view(view), name=name)

    def act_view(self, request: HttpRequest) -> HttpResponse:
        """Ask whether to do it; once that is confirmed, do it."""
        if not may_act(request):
            raise PermissionDenied
        if request.method != "POST":  # somebody had to log in anew, and was led here
            return self._nothing_done(request)
        operation, asked, keys = _operation(request), _action_request(request), self._keys(request)
        if operation.eligible.shows_it and not may_open(request):
            raise PermissionDenied
        if problem := _problem(request, operation, asked):
            messages.error(request, problem)
            return self._back(request)
        if "confirmed" in request.POST:
            result = perform(operation, keys, asked)
            _report(request, operation, result)
            if not result.left:
                return self._back(request)
            keys = result.left
        return self._ask(request, operation, asked, keys)

    def _keys(self, request: HttpRequest) -> list[int]:
        """Return the keys of what is ticked, or of all that the list shows on all its pages, its newest first."""
        if request.POST.get("scope") == "all":
            matching = Listing(request.GET, Objects(request, self.admin_site)).matching().order_by("-created_at", "-pk")
            return list(matching.values_list("pk", flat=True)[:MOST_AT_ONCE])
        # The list names each in a field of its own; the page that asks, which may have more than Django allows, in one.
        named = ",".join(request.POST.getlist("message"))
        keys = {_number(key) for key in named.split(",")} if named else set()
        if len(keys) > MOST_AT_ONCE:
            raise BadRequest(f"There are {len(keys):,} messages; at most {MOST_AT_ONCE:,} can be chosen.")
        return list(keys)

    def _ask(self, request: HttpRequest, operation: Operation, asked: ActionRequest, keys: list[int]) -> HttpResponse:
        chosen = OutboxMessage.objects.filter(pk__in=keys)
        doable = possible(operation, chosen, asked)
        # The answer is about what is counted here, whatever comes, changes or moves in the list meanwhile.
        counted = list(doable.values_list("pk", flat=True))
        count = len(counted)
        context = {
            "title": operation.words.label,
            "operation": operation,
            "address": asked.address if operation.mails_actor else "",
            "corrected": asked.corrected,
            "count": count,
            "question": operation.words.ask(count),
            "most": number(operation.limit) if count > operation.limit else "",
            "more_match": number(MOST_AT_ONCE) if len(keys) == MOST_AT_ONCE else "",
            "left_out": listed(
                _("%(number)s %(reason)s") % {"number": number(left), "reason": reason}
                for reason, left in operation.eligible.left_out(chosen)
            ),
            "examples": doable.only("subject", "state", "first_recipient").order_by("-created_at", "-pk")[:EXAMPLES],
            "not_shown": max(0, count - EXAMPLES),
            "keys": ",".join(map(str, counted)),
            "last_action": asked.since,
            "next": self._next(request),
        }
        return self._act_page(request, context)

    def _nothing_done(self, request: HttpRequest) -> HttpResponse:
        response = self._act_page(request, {"title": _("Nothing was done"), "next": self._next(request)}, status=405)
        response["Allow"] = "POST"
        return response

    def _act_page(self, request: HttpRequest, context: dict[str, Any], status: int = 200) -> HttpResponse:
        shared = {**self.frame(request), "act_url": self.url("act")}
        return render(request, self.act_template, shared | context, status=status)

    def frame(self, request: HttpRequest) -> dict[str, Any]:
        """Return what the admin's part of each page shows, and let its links lead to this admin site."""
        request.current_app = self.admin_site.name
        way = way_to_list(self.admin_site.name)
        return {**self.admin_site.each_context(request), "opts": self.opts, "way": way}

    def _back(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(self._next(request))

    def _next(self, request: HttpRequest) -> str:
        """Return where the person came from, which is on this site, or the list."""
        target = request.POST.get("next", "")
        if url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
            return target
        return self.url("list")


def _operation(request: HttpRequest) -> Operation:
    name = request.POST.get("action", "")
    for operation in (*OPERATIONS, CORRECT):
        if operation.name == name:
            return operation
    names = ", ".join(operation.name for operation in OPERATIONS)
    raise BadRequest(f"There is no action {name[:40]!r}; there are {names}.")


def _action_request(request: HttpRequest) -> ActionRequest:
    user: Any = request.user
    since = request.POST.get("last_action", "")
    address = getattr(user, user.get_email_field_name(), "") or ""
    corrected = request.POST.get("corrected", "").strip()
    return ActionRequest(user.get_username(), address, _number(since) if since else last_action(), corrected)


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise BadRequest(f"{text[:40]!r} is no number of a message or an action.")
    return int(text)


def _problem(request: HttpRequest, operation: Operation, asked: ActionRequest) -> str:
    """Return why the person cannot be asked, or nothing."""
    if operation.mails_actor and not asked.address:
        return _(
            "Your user has no mail address, so nothing was forwarded. "
            "Whoever may change users can enter one on your user’s page."
        )
    if operation is CORRECT and not _is_address(asked.corrected):
        return _("“%(address)s” is not a mail address, so nothing was sent. Write it as name@example.com.") % {
            "address": asked.corrected[:60]
        }
    if request.POST.get("scope") != "all" and not request.POST.get("message"):
        return _("No message is ticked: tick some, or choose all that match.")
    return ""


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return text.isascii()


def _report(request: HttpRequest, operation: Operation, result: OperationResult) -> None:
    """Tell the person what was done, what was not, and why."""
    missed, already, refused, left = result.missed, result.already, result.refused, len(result.left)
    sentences = [operation.words.report(result.done)]
    if missed:
        left_out = ngettext("%(number)s left out.", "%(number)s left out.", missed)
        sentences += [left_out % {"number": number(missed)}, str(operation.words.only)]
    if already:
        sentence = ngettext("%(number)s was done already.", "%(number)s were done already.", already)
        sentences.append(sentence % {"number": number(already)})
    if refused:
        sentence = ngettext("%(number)s could not be: %(reason)s.", "%(number)s could not be: %(reason)s.", refused)
        sentences.append(sentence % {"number": number(refused), "reason": result.reason.rstrip(".")})
    if left:
        sentence = ngettext(
            "%(number)s is left: confirm again to go on.", "%(number)s are left: confirm again to go on.", left
        )
        sentences.append(sentence % {"number": number(left)})
    is_whole = not (missed or already or refused or left)
    messages.add_message(request, messages.SUCCESS if is_whole else messages.WARNING, joined(*sentences))
