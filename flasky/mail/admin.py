"""Look at the outbox, and act on messages. What is stored is never edited."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from flasky.mail import dispatchers
from flasky.mail.models import Attempt, OutboxMessage, OutboxMessageQuerySet
from flasky.mail.notices import about, notices, pruned
from flasky.mail.wire import html_body, parse, text_body


class ReadOnly:
    def has_add_permission(self, request: HttpRequest, *arguments: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AttemptInline(ReadOnly, admin.TabularInline):
    model = Attempt
    fields = readonly_fields = ("when", "took", "outcome", "reply", "connection", "worker")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True  # to whoever may look at the message

    @admin.display(description="when")
    def when(self, attempt: Attempt) -> str:
        return f"{timezone.localtime(attempt.started_at):%Y-%m-%d %H:%M:%S %Z}"

    @admin.display(description="how long")
    def took(self, attempt: Attempt) -> str:
        return f"{attempt.seconds:.2f} s" if attempt.server else "–"  # a holder who died has left no more than its name

    @admin.display(description="server")
    def connection(self, attempt: Attempt) -> str:
        if not attempt.server:
            return "–"
        secured, logged_in = "encrypted" if attempt.secured else "not encrypted", "logged in"
        return f"{attempt.server}\n{secured}, {logged_in if attempt.logged_in else 'no login'}"


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("subject_or_none", "to", "state", "attempt_count", "last_reply_line", "created_at")
    list_filter = ("state", "possible_duplicate")
    search_fields = ("subject", "message_id", "recipients")
    ordering = ("-pk",)
    list_per_page = 50
    show_full_result_count = False
    inlines = (AttemptInline,)
    actions = ("requeue", "hold", "cancel")
    fieldsets = (
        (None, {"fields": ("state", "note", "subject", "from_header", "to", "envelope_sender", "message_id")}),
        (
            "Delivery",
            {
                "fields": (
                    "created_at",
                    "finished_at",
                    "next_attempt_at",
                    "attempt_count",
                    "last_reply",
                    "outcome_lines",
                    "possible_duplicate",
                    "lease_expires_at",
                )
            },
        ),
        ("Bodies", {"fields": ("text", "html", "headers")}),
    )

    def has_act_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("mail.change_outboxmessage")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if request.method == "GET":  # what is posted is answered with a redirect to here
            for notice in notices():
                messages.warning(request, notice)
        return super().changelist_view(request, extra_context)

    @admin.action(description="Requeue: try failed, held or cancelled messages again", permissions=["act"])
    def requeue(self, request: HttpRequest, chosen: OutboxMessageQuerySet) -> None:
        self.act(request, chosen, chosen.requeue, "queued again", "failed, held or cancelled, and not pruned")
        transaction.on_commit(dispatchers.wake)

    @admin.action(description="Hold: keep back queued messages", permissions=["act"])
    def hold(self, request: HttpRequest, chosen: OutboxMessageQuerySet) -> None:
        self.act(request, chosen, chosen.hold, "held", "queued")

    @admin.action(description="Cancel: give up queued or held messages", permissions=["act"])
    def cancel(self, request: HttpRequest, chosen: OutboxMessageQuerySet) -> None:
        self.act(request, chosen, chosen.cancel, "cancelled", "queued or held")

    def act(
        self, request: HttpRequest, chosen: OutboxMessageQuerySet, verb: Callable[[], int], done: str, condition: str
    ) -> None:
        total = chosen.count()  # before: the list may be filtered by state
        count = verb()
        if count == total:
            messages.success(request, f"{count} {done}.")
        else:
            messages.warning(request, f"{count} {done}, {total - count} left out: only what is {condition} can be.")

    def get_queryset(self, request: HttpRequest) -> Any:
        stored = super().get_queryset(request)
        listing = request.resolver_match and request.resolver_match.url_name == "mail_outboxmessage_changelist"
        return stored.defer("content") if listing else stored

    @admin.display(description="note")
    def note(self, message: OutboxMessage) -> str:
        return "\n".join(about(message)) or "–"

    @admin.display(description="subject", ordering="subject")
    def subject_or_none(self, message: OutboxMessage) -> str:
        return message.subject or "(no subject)"

    @admin.display(description="recipients")
    def to(self, message: OutboxMessage) -> str:
        shown = ", ".join(message.recipients[:5])
        return shown if len(message.recipients) <= 5 else f"{shown} and {len(message.recipients) - 5} more"

    @admin.display(description="last reply")
    def last_reply_line(self, message: OutboxMessage) -> str:
        return message.last_reply.partition("\n")[0][:120] or "–"

    @admin.display(description="for each recipient")
    def outcome_lines(self, message: OutboxMessage) -> str:
        lines = [
            f"{address}: {'accepted' if outcome['accepted'] else 'refused'} ({outcome['reply']})"
            for address, outcome in message.outcomes.items()
        ]
        return "\n".join(lines + [f"{address}: waiting" for address in message.remaining_recipients])

    @admin.display(description="text")
    def text(self, message: OutboxMessage) -> str:
        return pruned(message) or text_body(parse(message.content)) or "–"

    @admin.display(description="HTML, as text")
    def html(self, message: OutboxMessage) -> str:
        return pruned(message) or html_body(parse(message.content)) or "–"

    @admin.display(description="headers")
    def headers(self, message: OutboxMessage) -> str:
        return pruned(message) or "\n".join(f"{name}: {value}" for name, value in parse(message.content).items())
