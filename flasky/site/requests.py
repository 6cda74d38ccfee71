"""Read the head of a request that is made to break Django's reading of it."""

from typing import Any

from django.core.exceptions import BadRequest
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest


class AnyContentType(HttpRequest):
    """Take a Content-Type with a parameter in an unknown codec for none.

    Django would fail before there is a request that any middleware could answer.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            super()._set_content_type_params(meta)  # type: ignore[misc]
        except (LookupError, ValueError, BadRequest):  # the last since Django 6.1
            self.content_type, self.content_params = "", {}


class TolerantWSGIRequest(AnyContentType, WSGIRequest):
    pass


class TolerantASGIRequest(AnyContentType, ASGIRequest):
    pass
