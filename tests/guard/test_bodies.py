"""flasky.guard.bodies: what a request's first lines say about the rest."""

import pytest

from flasky.guard.bodies import MAX_HEAD, head_of

LIMIT = 1000  # bytes


@pytest.fixture(autouse=True)
def limit(settings):
    settings.MAX_BODY_SIZE = LIMIT


def head(*lines):
    return "\r\n".join(["POST / HTTP/1.1", *lines, "", ""]).encode()


@pytest.mark.parametrize("received", [b"", b"GET", b"GET / HTTP/1.1\r\nHost: x\r\n", head("Content-Length: 5")[:-1]])
def test_half_a_head_says_nothing(received):
    assert head_of(received) is None


@pytest.mark.parametrize(
    ("line", "length"),
    [
        ("Content-Length: 5", 5),
        ("content-length:5", 5),
        ("CONTENT-LENGTH: \t 5 ", 5),
        ("Content-Length: 0005", 5),
        (f"Content-Length: {LIMIT}", LIMIT),
        ("X: Content-Length: 5", 0),
        ("Content-Length: five", 0),  # the server's own parser refuses it
        ("Content-Length: -5", 0),
    ],
)
def test_a_head_says_how_much_will_come(line, length):
    received = head("Host: x", line)
    assert head_of(received + b"body") == (len(received) + length, None, False)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (f"Content-Length: {LIMIT + 1}", 413),
        ("Content-Length: " + "9" * 5000, 413),
        ("Transfer-Encoding: chunked", 411),
        ("transfer-encoding:gzip, chunked", 411),
    ],
)
def test_what_the_site_cannot_use_is_refused(line, status):
    assert head_of(head(line)).refusal == status


def test_a_head_without_end_is_refused():
    assert head_of(b"x" * MAX_HEAD) is None
    assert head_of(b"x" * (MAX_HEAD + 1)).refusal == 431


@pytest.mark.parametrize("path", ["/", "/healthz", "/admin/login/", "/nowhere"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"CONTENT_LENGTH": str(LIMIT + 1)}, 413),
        ({"CONTENT_LENGTH": "9" * 5000}, 413),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, 411),
    ],
)
def test_under_another_server_the_middleware_refuses_it(client, path, headers, status):
    response = client.post(path, b"", "text/plain", **headers)
    assert response.status_code == status


@pytest.mark.django_db
def test_a_file_is_refused_whatever_its_size(client, tmp_path):
    file = tmp_path / "small.txt"
    file.write_text("x")
    with file.open() as upload:
        assert client.post("/", {"name": "Ann", "file": upload}).status_code == 400
