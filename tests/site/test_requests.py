"""flasky.site.requests and what cannot be read: a request may say anything about itself."""

from io import BytesIO

import pytest
from django.test import Client, RequestFactory

from flasky.site.requests import TolerantASGIRequest, TolerantWSGIRequest

STRANGE = ["a/b; charset*=idna''x", "a/b; charset*=klingon''x", "a/b; x*=klingon''y", "a/b; charset=\0"]
FILE = b'--x\r\nContent-Disposition: form-data; name="name"; filename="a"\r\n\r\nAnn\r\n--x--\r\n'
CODEC = b"--x\r\nContent-Disposition: form-data; name*=klingon''a\r\n\r\nAnn\r\n--x--\r\n"


@pytest.mark.parametrize("content_type", STRANGE)
def test_a_content_type_in_an_unknown_codec_is_none(content_type):
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"content-type", content_type.encode())]}
    assert TolerantASGIRequest(scope, BytesIO()).content_type == ""
    environ = RequestFactory().get("/").environ | {"CONTENT_TYPE": content_type}
    assert TolerantWSGIRequest(environ).content_type == ""


def test_a_usual_one_is_read():
    environ = RequestFactory().get("/").environ | {"CONTENT_TYPE": "text/plain; charset=utf-8"}
    assert TolerantWSGIRequest(environ).content_params == {"charset": "utf-8"}


def test_the_servers_entrances_use_them():
    from flasky.asgi import django_application
    from flasky.wsgi import application

    assert application.request_class is TolerantWSGIRequest
    assert django_application.request_class is TolerantASGIRequest


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/", "/nowhere/", "/static/nothing", "/admin/login/", "/healthz/"])
@pytest.mark.parametrize("body", [FILE, CODEC, b"--x"])
def test_a_form_that_cannot_be_read_is_a_bad_request_on_every_page(path, body):
    client = Client(enforce_csrf_checks=True)
    assert client.generic("POST", path, body, "multipart/form-data; boundary=x").status_code in (400, 403, 404)
