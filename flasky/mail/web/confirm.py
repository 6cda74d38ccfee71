"""The pages on which people act on messages: a question with a count, and then the answer."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path, reverse
from django.utils.http import url_has_allowed_host_and_scheme

from flasky.mail.models import OutboxMessage
from flasky.mail.web.actions import (
    MOST_AT_ONCE,
    OFFERS,
    Decision,
    Offer,
    Outcome,
    last_action,
    left_out,
    perform,
    possible,
)
from flasky.mail.web.permissions import may_act
from flasky.mail.web.search import Listing

EXAMPLES = 5  # subjects on the page that asks
FORWARD = "forward"


class ActionPages(admin.ModelAdmin):
    """Let those who may change messages act on them; the messages' content stays as it is."""

    def offers(self, request: HttpRequest, message: OutboxMessage | None = None) -> list[Offer]:
        """Return what the viewer may do, to this message or in general."""
        if not may_act(request):
            return []
        return [offer for offer in OFFERS if message is None or offer.applies_to(message)]

    def get_urls(self) -> list[Any]:
        act = path("act/", self.admin_site.admin_view(self.act_view), name="mail_outboxmessage_act")
        return [act, *super().get_urls()]

    def act_view(self, request: HttpRequest) -> HttpResponse:
        """Ask whether to do it; once that is confirmed, do it."""
        if not may_act(request):
            raise PermissionDenied
        if request.method != "POST":  # somebody had to log in anew, and was led here
            return self._nothing_done(request)
        offer, decision, keys = _offer(request), _decision(request), _keys(request)
        if problem := _problem(request, offer, decision):
            messages.error(request, problem)
            return _back(request)
        if "confirmed" in request.POST:
            outcome = perform(offer, keys, decision)
            _report(request, offer, outcome)
            if not outcome.left:
                return _back(request)
            keys = outcome.left
        return self._ask(request, offer, decision, keys)

    def _ask(self, request: HttpRequest, offer: Offer, decision: Decision, keys: list[int]) -> HttpResponse:
        chosen = OutboxMessage.objects.filter(pk__in=keys)
        doable = possible(offer, chosen, decision)
        # The answer is about what is counted here, whatever comes, changes or moves in the list meanwhile.
        counted = list(doable.values_list("pk", flat=True))
        count = len(counted)
        context = {
            "title": offer.label,
            "offer": offer,
            "address": decision.address if offer.name == FORWARD else "",
            "count": count,
            "question": offer.question.format(f"{count:,} message{'' if count == 1 else 's'}"),
            "most": f"{offer.limit:,}" if count > offer.limit else "",
            "more_match": f"{MOST_AT_ONCE:,}" if len(keys) == MOST_AT_ONCE else "",
            "left_out": [(reason, f"{number:,}") for reason, number in left_out(offer, chosen)],
            "examples": doable.only("subject", "state", "first_recipient").order_by("-created_at", "-pk")[:EXAMPLES],
            "not_shown": f"{count - EXAMPLES:,}" if count > EXAMPLES else "",
            "keys": ",".join(map(str, counted)),
            "last_action": decision.last_action,
            "next": _next(request),
        }
        return self._act_page(request, context)

    def _nothing_done(self, request: HttpRequest) -> HttpResponse:
        response = self._act_page(request, {"title": "Nothing was done", "next": _next(request)}, status=405)
        response["Allow"] = "POST"
        return response

    def _act_page(self, request: HttpRequest, context: dict[str, Any], status: int = 200) -> HttpResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts}
        return render(request, "admin/mail/outboxmessage/act.html", shared | context, status=status)


def _offer(request: HttpRequest) -> Offer:
    name = request.POST.get("action", "")
    for offer in OFFERS:
        if offer.name == name:
            return offer
    raise BadRequest(f"There is no action {name[:40]!r}; there are {', '.join(offer.name for offer in OFFERS)}.")


def _decision(request: HttpRequest) -> Decision:
    user: Any = request.user
    asked = request.POST.get("last_action", "")
    return Decision(user.get_username(), user.email, _number(asked) if asked else last_action())


def _keys(request: HttpRequest) -> list[int]:
    """Return the keys of what is ticked, or of all that the list shows on all its pages, its newest first."""
    if request.POST.get("scope") == "all":
        matching = Listing(request.GET).matching().order_by("-created_at", "-pk")
        return list(matching.values_list("pk", flat=True)[:MOST_AT_ONCE])
    # The list names each in a field of its own; the page that asks, which may have more than Django allows, in one.
    named = ",".join(request.POST.getlist("message"))
    keys = {_number(key) for key in named.split(",")} if named else set()
    if len(keys) > MOST_AT_ONCE:
        raise BadRequest(f"There are {len(keys):,} messages; at most {MOST_AT_ONCE:,} can be chosen.")
    return list(keys)


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise BadRequest(f"{text[:40]!r} is no number of a message or an action.")
    return int(text)


def _problem(request: HttpRequest, offer: Offer, decision: Decision) -> str:
    """Return why the person cannot be asked, or nothing."""
    if offer.name == FORWARD and not decision.address:
        return (
            "Flasky does not know your mail address, so nothing was forwarded. "
            "Whoever may change users can enter it on your user’s page."
        )
    if request.POST.get("scope") != "all" and not request.POST.get("message"):
        return "No message is ticked: tick some, or choose all that match."
    return ""


def _report(request: HttpRequest, offer: Offer, outcome: Outcome) -> None:
    """Tell the person what was done, what was not, and why."""
    sentence = f"{outcome.done:,} {offer.done}"
    sentence += f", {outcome.missed:,} left out: only what is {offer.condition} can be." if outcome.missed else "."
    if outcome.already:
        sentence += f" {outcome.already:,} {'was' if outcome.already == 1 else 'were'} done already."
    if outcome.refused:
        sentence += f" {outcome.refused:,} could not be: {outcome.trouble.rstrip('.')}."
    if outcome.left:
        sentence += f" {len(outcome.left):,} {'is' if len(outcome.left) == 1 else 'are'} left: confirm again to go on."
    is_whole = not (outcome.missed or outcome.already or outcome.refused or outcome.left)
    messages.add_message(request, messages.SUCCESS if is_whole else messages.WARNING, sentence)


def _back(request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect(_next(request))


def _next(request: HttpRequest) -> str:
    """Return where the person came from, which is on this site, or the list."""
    target = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
        return target
    return reverse("admin:mail_outboxmessage_changelist")
