"""The main job, done with the generated Python client: one session, seen by two services, from opening to logout."""

import base64
import os
from http import HTTPStatus

from session_gateway import AuthenticatedClient
from session_gateway.api.attributes import merge_attributes
from session_gateway.api.logins import end_login_sessions, find_login, list_login_sessions
from session_gateway.api.services import register_service
from session_gateway.api.sessions import create_session, find_session
from session_gateway.api.tokens import verify_token
from session_gateway.models import (
    AttributePatch,
    Attributes,
    CreatedSession,
    CreateSessionRequest,
    EndedSessions,
    LoginSummary,
    Problem,
    RegisterServiceRequest,
    ServiceCredentials,
    Session,
    SessionAttributes,
    SessionPage,
    VerifyTokenRequest,
    VerifyTokenResponse,
)

LOGIN = "python/zoë"


def client(service_id, secret):
    credentials = base64.b64encode(f"{service_id}:{secret}".encode()).decode()
    return AuthenticatedClient(base_url=os.environ["GATEWAY_URL"], token=credentials, prefix="Basic")


def expect(kind, answer):
    assert isinstance(answer, kind), answer
    return answer


def register(admin, service_id, permissions):
    request = RegisterServiceRequest(service_id=service_id, service_name=service_id, permissions=permissions)
    created = expect(ServiceCredentials, register_service.sync(client=admin, body=request))
    assert created.service.permissions == permissions
    return client(service_id, created.secret)


def open_session(service, device):
    attributes = Attributes.from_dict({"role": "admin"})
    request = CreateSessionRequest(login_id=LOGIN, device=device, attributes=attributes)
    created = expect(CreatedSession, create_session.sync(client=service, body=request))
    assert created.session.login_id == LOGIN
    assert created.session.attributes.to_dict() == {"role": "admin"}
    return created


def read_from_another_service(reader, opened):
    session = expect(Session, find_session.sync(opened.session.session_id, client=reader))
    assert session == opened.session

    refused = end_login_sessions.sync_detailed(LOGIN, client=reader)
    assert refused.status_code == HTTPStatus.FORBIDDEN
    assert expect(Problem, refused.parsed).code == "permission_denied"


def set_attributes(service, session_id):
    patch = AttributePatch.from_dict({"role": None, "cart": {"items": 2}, "locale": "fr"})
    expected = {"cart": {"items": 2}, "locale": "fr"}
    changed = expect(SessionAttributes, merge_attributes.sync(session_id, client=service, body=patch))
    assert changed.attributes.to_dict() == expected

    stale = merge_attributes.sync_detailed(session_id, client=service, body=patch, if_match='"0"')
    assert stale.status_code == HTTPStatus.PRECONDITION_FAILED
    assert expect(Problem, stale.parsed).code == "version_conflict"

    session = expect(Session, find_session.sync(session_id, client=service))
    assert session.attributes.to_dict() == expected
    assert session.version == changed.version


def list_devices(service, expected):
    summary = expect(LoginSummary, find_login.sync(LOGIN, client=service))
    assert sorted(summary.devices) == expected
    page = expect(SessionPage, list_login_sessions.sync(LOGIN, client=service))
    assert sorted(session.device for session in page.items) == expected
    assert page.next_cursor is None


def verify(service, token):
    request = VerifyTokenRequest(token=token)
    return expect(VerifyTokenResponse, verify_token.sync(client=service, body=request))


def log_out_everywhere(service, opened):
    ended = expect(EndedSessions, end_login_sessions.sync(LOGIN, client=service))
    assert sorted(map(str, ended.session_ids)) == sorted(str(each.session.session_id) for each in opened)
    assert ended.count == len(opened)

    for each in opened:
        answer = verify(service, each.token)
        assert not answer.active
        assert answer.reason == "logout"
        assert answer.ended.reason == "logout"
        assert answer.ended.by == "python-shop"

    over = find_session.sync_detailed(opened[0].session.session_id, client=service)
    assert over.status_code == HTTPStatus.GONE
    assert expect(Problem, over.parsed).ended.reason == "logout"


def main():
    admin = client("admin", os.environ["ADMIN_SECRET"])
    shop = register(admin, "python-shop", ["session.*", "attribute.*", "login.read", "token.verify"])
    profile = register(admin, "python-profile", ["session.read"])

    phone, laptop = open_session(shop, "ios"), open_session(shop, "web")
    read_from_another_service(profile, phone)
    set_attributes(shop, phone.session.session_id)
    list_devices(shop, ["ios", "web"])

    answer = verify(shop, phone.token)
    assert answer.active
    assert answer.session.session_id == phone.session.session_id
    assert answer.remaining_seconds > 0
    assert verify(shop, "no such token").reason == "unknown_token"

    log_out_everywhere(shop, [phone, laptop])


main()
