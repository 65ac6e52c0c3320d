"""Who is let in."""

import asyncio
import base64

import pytest

from distill_jax.app import gate

PASSWORD = "open sesame"


def asked(rules, path="/", host="localhost:7860", **headers):
    """Status and headers of an answer; 200 where the request came through."""

    async def inner(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    sent = []

    async def send(message):
        sent.append(message)

    pairs = [(b"host", host.encode())]
    pairs += [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "path": path, "headers": pairs}
    asyncio.run(gate.Gate(inner, rules)(scope, None, send))
    return sent[0]["status"], dict(sent[0]["headers"])


@pytest.fixture
def rules(tmp_path):
    return gate.Rules(gate.LOCAL, "", tmp_path)


def basic(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_what_is_good_comes_through_and_the_browser_may_fetch_nothing_else(rules):
    status, headers = asked(rules)
    assert status == 200
    policy = headers[b"content-security-policy"].decode()
    assert "default-src 'self'" in policy and "http" not in policy


@pytest.mark.parametrize(("host", "status"), [("evil.com:7860", 421), ("[::1]:1", 200)])
def test_other_names_of_this_machine_are_refused(rules, host, status):
    assert asked(rules, host=host)[0] == status


def test_pages_of_other_sites_are_refused(rules):
    assert asked(rules, origin="http://evil.com")[0] == 403
    assert asked(rules, origin="null")[0] == 403
    assert asked(rules, origin="http://localhost:7860")[0] == 200


def test_without_the_password_nothing_is_answered(rules):
    rules = rules._replace(password=PASSWORD, hosts=None)
    status, headers = asked(rules, host="anything")
    assert status == 401 and headers[b"www-authenticate"].startswith(b"Basic")
    for wrong in ("Basic", "Basic !", basic("me"), basic("me:open"), "Bearer x"):
        assert asked(rules, authorization=wrong)[0] == 401
    assert asked(rules, authorization=basic(f"me:{PASSWORD}"))[0] == 200


def test_only_files_that_gradio_made_are_given_by_it(rules, tmp_path):
    inside, outside = tmp_path / "a" / "x.wav", tmp_path.parent / "x.wav"
    assert asked(rules, f"/gradio_api/file={inside}")[0] == 200
    for path in (outside, f"{tmp_path}/../x.wav", "http://a.b/c", "%2e%2e/x", "/etc/x"):
        assert asked(rules, f"/gradio_api/file={path}")[0] == 403
    (tmp_path / "link").symlink_to(outside)
    assert asked(rules, f"/gradio_api/file={tmp_path}/link")[0] == 403
    assert asked(rules, "/gradio_api/proxy=http://a.b")[0] == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.3.2.1"])
def test_on_this_machine_no_password_is_needed(host):
    gate.check(host, "")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.2", "my.machine"])
def test_a_network_needs_a_password(host):
    with pytest.raises(ValueError, match="--password"):
        gate.check(host, "")
    with pytest.raises(ValueError, match="4 letters"):
        gate.check(host, "four")
    gate.check(host, PASSWORD)


def test_the_verb_refuses_before_anything_is_opened(refused, tmp_path):
    said = refused("app", "--workdir", tmp_path / "root", "--host", "0.0.0.0")
    assert "lets others on the network in" in said
    assert not (tmp_path / "root").exists()
