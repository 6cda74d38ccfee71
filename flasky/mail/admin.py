"""Look at the outbox. What is stored is never edited."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from flasky.mail.models import Attempt, OutboxMessage
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
    fields = ("started_at", "seconds", "outcome", "reply", "server", "secured", "logged_in", "worker")


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("subject_or_none", "to", "state", "attempt_count", "last_reply_line", "created_at")
    list_filter = ("state", "possible_duplicate")
    search_fields = ("subject", "message_id", "recipients")
    ordering = ("-pk",)
    list_per_page = 50
    show_full_result_count = False
    inlines = (AttemptInline,)
    fieldsets = (
        (None, {"fields": ("state", "subject", "from_header", "to", "envelope_sender", "message_id")}),
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

    def get_queryset(self, request: HttpRequest) -> Any:
        messages = super().get_queryset(request)
        listing = request.resolver_match and request.resolver_match.url_name == "mail_outboxmessage_changelist"
        return messages.defer("content") if listing else messages

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
        return text_body(parse(message.content)) or "–"

    @admin.display(description="HTML, as text")
    def html(self, message: OutboxMessage) -> str:
        return html_body(parse(message.content)) or "–"

    @admin.display(description="headers")
    def headers(self, message: OutboxMessage) -> str:
        return "\n".join(f"{name}: {value}" for name, value in parse(message.content).items())
