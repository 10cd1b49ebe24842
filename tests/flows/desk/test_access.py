"""Who may do what: accounts, sessions, tokens, proxies, forged requests and guessed passwords."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from cluster.errors import RefusedError, UsageError
from flows.desk.access import TRIES, Accounts, Role, Sessions
from flows.desk.app import make_app, open_desk
from flows.desk.desk import Access, Desk
from tests.flows.desk.conftest import FIRST, Studio, segment_key

PASSWORD = "four words nobody says"
HERE = "http://127.0.0.1:8484"


@pytest.fixture
def desk(studio: Studio) -> Desk:
    studio.run(sh010="rendered", sh020="rendered")
    desk = studio.desk(Access(local=False))
    for role in Role:
        desk.accounts.put(role.name.lower(), role=role, password=PASSWORD)
    return desk


@pytest.fixture
def client(desk: Desk) -> Iterator[TestClient]:
    with TestClient(make_app(desk), base_url="https://desk.studio", follow_redirects=False) as made:
        yield made


def log_in(client: TestClient, name: str, password: str = PASSWORD) -> int:
    return client.post("/login", data={"name": name, "password": password}).status_code


def token_of(client: TestClient) -> str:
    page = client.get("/").text
    return page.split('data-csrf="')[1].split('"')[0]


def decide(client: TestClient, verdict: str, **headers: str) -> int:
    (store,) = {each["store"] for each in client.get("/api/v1/episodes", headers=headers).json()}
    seen = segment_key("ep01", "sh010", FIRST)
    document = {"decisions": [{"shot": "sh010", "seen": seen, "verdict": verdict}]}
    url = f"/api/v1/episodes/{store}/ep01/decisions"
    return client.post(url, json=document, headers=headers).status_code


def test_nobody_sees_anything_before_they_log_in(client: TestClient) -> None:
    assert client.get("/").headers["location"] == "/login"
    for path in ("/api/v1/episodes", "/events", "/media/00000000/x/thumb.webp"):
        assert client.get(path).status_code == 401
    assert client.get("/api/v1/openapi.json").status_code == 401
    assert client.get("/static/desk.css").status_code == 200


@pytest.mark.parametrize(
    ("role", "retake", "approve"),
    [("viewer", 403, 403), ("artist", 201, 403), ("supervisor", 201, 201), ("admin", 201, 201)],
)
def test_a_role_may_decide_what_it_says(
    client: TestClient, role: str, retake: int, approve: int
) -> None:
    assert log_in(client, role) == 303
    headers = {"x-csrf-token": token_of(client)}
    assert decide(client, "retake", **headers) == retake
    assert decide(client, "approved", **headers) == approve


def test_a_change_needs_the_token_of_a_page_and_our_own_origin(client: TestClient) -> None:
    log_in(client, "admin")
    token = token_of(client)
    assert decide(client, "approved") == 403
    assert decide(client, "approved", **{"x-csrf-token": "0" * 64}) == 403
    for forged in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert decide(client, "approved", **{"x-csrf-token": token, **forged}) == 403
    own = {"x-csrf-token": token, "origin": "https://desk.studio", "sec-fetch-site": "same-origin"}
    assert decide(client, "approved", **own) == 201


def test_a_session_cookie_is_for_us_alone_and_ends_with_its_account(
    client: TestClient, desk: Desk
) -> None:
    told = client.post("/login", data={"name": "admin", "password": PASSWORD})
    cookie = told.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=lax", "secure"))
    behind = TestClient(client.app, base_url="http://desk.studio", follow_redirects=False)
    form, origin = {"name": "admin", "password": PASSWORD}, {"host": "desk.studio"}
    for scheme in ("http", "https"):
        headers = {**origin, "origin": f"{scheme}://desk.studio"}
        told = behind.post("/login", data=form, headers=headers)
        assert ("secure" in told.headers["set-cookie"].lower()) == (scheme == "https")
    assert client.get("/").status_code == 200
    desk.accounts.put("admin", role=Role.VIEWER)
    assert client.get("/").headers["location"] == "/login"


def test_a_cookie_cannot_be_forged(desk: Desk, tmp_path: Path) -> None:
    account = desk.accounts.all()["admin"]
    cookie = desk.sessions.begin("admin", account)
    assert desk.sessions.person(cookie, desk.accounts)
    name, until, signature = cookie.split("|")
    later = f"{name}|{int(until) + 9999}|{signature}"
    other = f"{b'viewer'.hex()}|{until}|{signature}"
    (tmp_path / "other").mkdir()
    foreign = Sessions(tmp_path / "other").begin("admin", account)
    for wrong in (later, other, foreign, "", "|||", "é", f"{cookie}0"):
        assert desk.sessions.person(wrong, desk.accounts) is None


def test_guessing_is_slowed_down(client: TestClient) -> None:
    assert [log_in(client, "admin", "wrong") for _ in range(TRIES)] == [403] * TRIES
    assert log_in(client, "admin") == 429


def test_a_program_brings_a_token_that_is_kept_as_its_hash(
    client: TestClient, desk: Desk, studio: Studio
) -> None:
    token = desk.accounts.make_token("supervisor", "ci")
    assert decide(client, "approved", authorization=f"Bearer {token}") == 201
    assert client.get("/api/v1/episodes", headers={"authorization": "Bearer x"}).status_code == 401
    files = [path for path in studio.folder.rglob("*") if path.is_file()]
    assert all(token.encode() not in path.read_bytes() for path in files)
    assert all(PASSWORD.encode() not in path.read_bytes() for path in files)
    desk.accounts.remove("supervisor")
    told = client.get("/api/v1/episodes", headers={"authorization": f"Bearer {token}"})
    assert told.status_code == 401


def test_accounts_are_for_their_owner_and_in_no_store(desk: Desk, studio: Studio) -> None:
    for name in ("accounts.json", "secret"):
        file = studio.folder / "desk" / name
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not [entry.name for entry in studio.store.list() if "account" in entry.name]


@pytest.mark.parametrize(("proxies", "status"), [("127.0.0.0/8, 10.0.0.1", 200), ("10.0.0.1", 303)])
def test_a_proxy_is_believed_from_the_listed_addresses_only(
    studio: Studio, proxies: str, status: int
) -> None:
    studio.run(sh010="rendered")
    desk = studio.desk(Access(local=False, proxies=proxies, header="X-Forwarded-User"))
    app = make_app(desk)
    with TestClient(app, client=("127.0.0.1", 5), follow_redirects=False) as client:
        told = client.get("/", headers={"x-forwarded-user": "mika"})
        assert told.status_code == status
        assert ("mika" in told.text) == (status == 200)


def test_without_accounts_the_desk_is_this_machines_alone(studio: Studio) -> None:
    studio.run(sh010="rendered")
    with pytest.raises(RefusedError, match="account"):
        open_desk([studio.store.url], host="0.0.0.0")
    app = make_app(open_desk([studio.store.url]))
    with TestClient(app, base_url=HERE) as client:
        assert client.get("/").status_code == 200
        # A page of another site that had its name turned to 127.0.0.1.
        assert client.get("/", headers={"host": "evil.example"}).status_code == 421


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 81])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        Accounts(tmp_path).put(name, role=Role.VIEWER, password=PASSWORD)


def test_a_short_password_and_an_unknown_role_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="password"):
        Accounts(tmp_path).put("mika", role=Role.VIEWER, password="short")
    with pytest.raises(UsageError, match="viewer, artist, supervisor, admin"):
        Role.named("boss")
