"""Requests as nobody's HTTP library would send them, made of what parsers have been wrong about."""

from hypothesis import strategies as st

from tests.fuzz.values import pairs, quoted, targets, texts

TOKEN = "a" * 32  # of the form, in the cookie and in the field alike
# What a browser sends, and after it what only others do.
METHODS = ["GET", "POST"], ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PRI", "get", "", "G\0T", "X" * 5000, "Ж", "POST\t"]  # fmt: skip
VERSIONS = [" HTTP/1.1"], [" HTTP/1.0", "", " HTTP/0.9", " HTTP/2.0", " HTTP/9.9", " http/1.1", " HTTP/1.1 x", " HTTP/1", " ICY/1.1", "\tHTTP/1.1"]  # fmt: skip
ENDS = ["\r\n"], ["\r\n", "\n", "\r", "\r\n ", "\r\n\t", "\r\r\n", "\0\r\n"]
FORMS = ["*", "//evil.example/", "http://127.0.0.1/", "http://evil.example/", "http://[::1/", "http:///", "/\\evil.example", "/%", "/..;/admin/", "/./", "//", "", "?", "#", "/#x", "127.0.0.1:80", "/" + "a" * 9000, "/a b", "/é", "\0"]  # fmt: skip
HOSTS = ["127.0.0.1"], ["localhost", "evil.example", "127.0.0.1, evil.example", "127.0.0.1:80:80", "[::1]", "[::1", "127.0.0.1@evil.example", "", "é", "127.0.0.1\0", "127.0.0.1/..", ".", "a" * 300, "xn--", "127.0.0.1:99999999"]  # fmt: skip
TYPES = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"], ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "x" * 300, "multipart/form-data; boundary=\u00e9", "application/x-www-form-urlencoded; charset=utf-16", "application/x-www-form-urlencoded; charset=rot13", "application/x-www-form-urlencoded; charset=\0", "application/json", "text/plain; charset", ";", "", "a/b; charset=utf-8; charset=utf-7", "x; boundary*=utf-8''%ff", "multipart/form-data; boundary*0=a; boundary*1=b", "a/b; c*=x", "a/b; charset*=idna''x"]  # fmt: skip
LENGTHS = ["0", "1", "-1", "+5", "5, 5", "5,6", " 5 ", "0x5", "٥", "5.0", "", "1e1", "9" * 30, "262145"]
CODINGS = [
    "chunked",
    "identity",
    "gzip, chunked",
    "chunked, identity",
    "\tchunked",
    "xchunked",
    "Chunked",
    "chunked\0",
    "",
]
PLACES = ["method", "target", "version", "ends", "host", "type", "length", "coding", "order", "body", "header"]
OTHERS = [
    ("Cookie", "sessionid=" + "a" * 32), ("Cookie", "visitor=x"), ("Cookie", "messages=[]"), ("Cookie", "=; ;a;=b"),
    ("Cookie", "visitor=eyJhIjoxfQ:x:y"), ("Cookie", "\u00e9=\u00ff"), ("Cookie", "csrftoken=" + "x" * 5000),
    ("Cookie", "$Version=1; a=\"b\\\"c"), ("Cookie", "messages=\x80"),
    ("Accept", "*/*;q=x"), ("Accept", "application/openmetrics-text; version=9.9"), ("Accept", ",;q=,"),
    ("Accept-Language", "x" * 3000), ("Accept-Language", "zh-hans;q=9,*"), ("Accept-Encoding", "gzip;q=x, \u00e9"),
    ("Authorization", "Bearer"), ("Authorization", "Bearer \u00e9"), ("Authorization", "Basic Zm9v"),
    ("If-Modified-Since", "x"), ("If-Modified-Since", "Thu, 99 Foo 99999 99:99:99 GMT"), ("If-None-Match", "W/\"x"),
    ("If-Modified-Since", "Mon, 01 Jan 0000 00:00:00 GMT"), ("If-Unmodified-Since", "Sun Nov  6 08:49:37 0"),
    ("Range", "bytes=0-"), ("Range", "bytes=-9999999999"), ("Range", "bytes=5-2,1-1"), ("Range", "bytes=a-b"),
    ("Range", "bytes=" + "9" * 5000 + "-"), ("If-None-Match", "*"), ("If-Match", "*"), ("If-Range", "x"),
    ("X-Forwarded-For", "198.51.100.1"), ("X-Forwarded-For", "\u00e9,,"), ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "evil.example"), ("Forwarded", "for=\""), ("SCRIPT_NAME", "/evil"), ("Script-Name", "/evil"),
    ("X-Request-ID", "x\u2028"), ("X-Request-ID", "a" * 65), ("Origin", "null"), ("Origin", "http://["),
    ("Origin", "http://evil.example"), ("Referer", "http://[::1"), ("Referer", "\u00e9"), ("Expect", "100-continue"),
    ("Expect", "\u00e9"), ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Upgrade", "h2c"), ("Connection", ""),
    ("Sec-WebSocket-Key", "x3JJHMbDL1EzLkh9GBhXDw=="), ("Sec-WebSocket-Version", "13"), ("Connection", "close, x"),
    ("X-HTTP-Method-Override", "DELETE"), ("Content-Encoding", "gzip"), ("Trailer", "Host"), ("TE", "trailers"),
    ("Content-Disposition", "x"), ("X-Requested-With", "XMLHttpRequest"), ("Proxy", "http://evil.example"),
    ("Date", "x"), ("Via", "x"), ("REMOTE_USER", "boss"), ("Remote-User", "boss"), ("A", "x" * 9000),
]  # fmt: skip
NO_HEADERS = [
    ("DNT", "\0"), ("", "x"), ("A B", "x"), ("A:B", "x"), ("\u00e9", "x"), ("A", "\x0b"), (" A", "x"), ("A ", "x"),
    ("Content_Length", "5"), ("Content-Length ", "5"), ("Transfer_Encoding", "chunked"), ("wsgi.input", "x"),
    ("HTTP_HOST", "x"), ("Cookie", "sessionid=\0"), ("Expect", "x"), ("Host", "x"),
]  # fmt: skip


@st.composite
def connections(draw, cookies=("",)):
    """Return the bytes that a client sends on one connection: mostly one request, sometimes three."""
    several = draw(st.lists(requests(cookies), min_size=1, max_size=draw(st.sampled_from([1, 1, 1, 3]))))
    return b"".join(several)


@st.composite
def requests(draw, cookies):
    """Return a request that is odd in a few places, or in none: what is odd everywhere does not get far."""
    odd = draw(st.sets(st.sampled_from(PLACES), max_size=2))

    def part(place, usual_and_odd):
        return draw(st.sampled_from(usual_and_odd[place in odd]))

    body_strategy = st.one_of(chunks(), st.binary(max_size=60)) if "body" in odd else st.one_of(forms(), multiparts())
    body = draw(body_strategy)
    target = draw(st.one_of(st.sampled_from(FORMS), st.text(max_size=30)) if "target" in odd else targets())
    headers = [
        ("Host", part("host", HOSTS)),
        ("Content-Type", part("type", TYPES)),
        ("Cookie", f"csrftoken={TOKEN}; {draw(st.sampled_from(cookies))}"),
        ("Content-Length", str(len(body))),
        *([("Content-Length", draw(st.sampled_from(LENGTHS)))] if "length" in odd else []),
        *([("Transfer-Encoding", draw(st.sampled_from(CODINGS)))] if "coding" in odd else []),
        *(
            [draw(st.one_of(st.sampled_from(NO_HEADERS), st.tuples(st.text(max_size=12), texts())))]
            if "header" in odd
            else []
        ),
        *draw(st.lists(st.sampled_from(OTHERS), max_size=3)),
    ]
    if "order" in odd:
        headers = draw(st.permutations(headers))
    lines = [f"{part('method', METHODS)} {target}{part('version', VERSIONS)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    head = "".join(line + part("ends", ENDS) for line in lines)
    return head.encode("utf-8", "surrogatepass") + b"\r\n" + body


@st.composite
def forms(draw):
    fields = [("csrfmiddlewaretoken", TOKEN), *draw(pairs())]
    return "&".join(f"{name}={quoted(value)}" for name, value in fields).encode()


@st.composite
def multiparts(draw):
    """Return parts of which some have no end, no name, no head, a file or another coding."""
    heads = [
        'Content-Disposition: form-data; name="{}"',
        'Content-Disposition: form-data; name="{}"; filename="x"',
        'Content-Disposition: form-data; name="{}"; filename="../x"\r\nContent-Type: text/plain; charset=rot13',
        "Content-Disposition: form-data; name*=utf-8''%ff{}",
        'Content-Disposition: form-data; name="{}"\r\nContent-Transfer-Encoding: base64',
        'Content-Disposition: form-data; name="{}"\r\nContent-Transfer-Encoding: x\r\nContent-Length: -1',
        "Content-Disposition: form-data",
        "{}",
        "",
    ]
    parts = [
        f"--x\r\n{draw(st.sampled_from(heads)).replace('{}', name)}\r\n\r\n{value}\r\n"
        for name, value in [("csrfmiddlewaretoken", TOKEN), *draw(pairs())]
    ]
    end = draw(st.sampled_from(["--x--\r\n", "--x--", "--x", "--", "", "--x\r\n\r\n"]))
    return ("".join(parts) + end).encode("utf-8", "surrogatepass")


def chunks():
    broken = ["3\r\nabc\r\n0\r\n\r\n", "0\r\n\r\n", "-1\r\n", "3;x=y\r\nabc\r\n0\r\nHost: x\r\n\r\n", "g\r\n", "f" * 20 + "\r\n", "3\nabc\n0\n\n"]  # fmt: skip
    return st.sampled_from(broken).map(str.encode)
