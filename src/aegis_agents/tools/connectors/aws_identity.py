"""IAM: access keys, users that may do nothing, sessions that end.

An account is locked by an inline policy that denies everything. IAM evaluates it at each request,
so it holds for keys, passwords and sessions that are there already; it changes nothing else of the
user, and taking it away gives back exactly what was. It does not reach the sessions of roles that
the user has assumed: those are the role's (revoke_sessions).
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from aegis_agents.errors import ConnectorError, TargetNotFound
from aegis_agents.records import Target
from aegis_agents.tools.connectors.addresses import shown, value_of
from aegis_agents.tools.connectors.aws_api import AwsApi, said_at

DENY_POLICY: Final = "AegisDenyAll"
REVOKE_POLICY: Final = "AegisRevokeOlderSessions"
_DENY_ALL: Final = {"Effect": "Deny", "Action": "*", "Resource": "*"}
_NAME: Final = re.compile(r"[A-Za-z0-9+=,.@_-]{1,64}")
_KEY: Final = re.compile(r"AKIA[A-Z0-9]{12,124}")
_TEMPORARY: Final = re.compile(r"ASIA[A-Z0-9]{12,124}")


class Identities:
    """Users, roles and access keys of one account."""

    def __init__(self, api: AwsApi) -> None:
        self._api = api
        self._own: str | None = None
        self._revoking = threading.Lock()

    def own(self) -> str:
        """The ARN that Aegis acts as."""
        if self._own is None:
            with self._api.answers():
                self._own = str(self._api.client("sts").get_caller_identity()["Arn"])
        return self._own

    # Access keys.

    def key_is_off(self, target: Target) -> bool:
        """Whether the key is inactive. Raises TargetNotFound."""
        key = _key_id(target)
        return self._status(key, self._owner(key)) == "Inactive"

    def set_key(self, target: Target, status: str) -> str:
        """Make the key Active or Inactive. Returns whose key it is."""
        key = _key_id(target)
        owner = self._owner(key)
        if status == "Inactive":
            self._not_ourselves("user", owner)
        with self._api.answers():
            self._iam.update_access_key(UserName=owner, AccessKeyId=key, Status=status)
        return f"access key of {owner}"

    def _owner(self, key: str) -> str:
        with self._api.answers():
            answer = self._iam.get_access_key_last_used(AccessKeyId=key)
        owner = answer.get("UserName")
        if not owner:
            # The root user's keys have no user, and no API deactivates them for another.
            raise ConnectorError(f"{key} belongs to no IAM user: the account's root user has to deactivate it")
        return str(owner)

    def _status(self, key: str, owner: str) -> str:
        with self._api.answers():
            for page in self._iam.get_paginator("list_access_keys").paginate(UserName=owner):
                for one in page["AccessKeyMetadata"]:
                    if one["AccessKeyId"] == key:
                        return str(one["Status"])
        raise TargetNotFound(f"AWS: {owner} has no access key {key} any more")

    # Users.

    def is_denied(self, target: Target) -> bool:
        """Whether our policy, with our words, lies on the user."""
        return _statement(self._policy("user", _name(target), DENY_POLICY)) == _DENY_ALL

    def deny(self, target: Target) -> str:
        """Put the policy on the user. Raises TargetNotFound."""
        name = _name(target)
        self._not_ourselves("user", name)
        self._put("user", name, DENY_POLICY, _DENY_ALL)
        return f"user/{name} policy {DENY_POLICY}"

    def allow(self, target: Target) -> str:
        """Take the policy away; that it is not there is no error."""
        name = _name(target)
        try:
            with self._api.answers():
                self._iam.delete_user_policy(UserName=name, PolicyName=DENY_POLICY)
        except TargetNotFound:
            return ""
        return f"user/{name}"

    # Sessions.

    def cut_off(self, target: Target) -> tuple[str, str, str]:
        """("user" or "role", its name, the moment before which its sessions are to have begun).

        By AWS's own clock: ours may be wrong, and then sessions would survive. Raises TargetNotFound,
        and ConnectorError where a user and a role have this name: an alert doesn't say which it means.
        """
        name = _name(target)
        found: dict[str, Any] = {}
        for sort in ("user", "role"):
            try:
                with self._api.answers():
                    found[sort] = (
                        self._iam.get_user(UserName=name) if sort == "user" else self._iam.get_role(RoleName=name)
                    )
            except TargetNotFound:
                continue
        if not found:
            raise TargetNotFound(f"AWS: no user and no role is called {name}")
        if len(found) > 1:
            raise ConnectorError(
                f"AWS: a user and a role are called {name}: revoke the sessions of the right one by hand"
            )
        sort, answer = next(iter(found.items()))
        self._not_ourselves(sort, name)
        # A token carries whole seconds: one more covers those issued in this very second.
        moment = said_at(answer) + timedelta(seconds=1)
        return sort, name, moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    def revoke(self, aim: tuple[str, str, str]) -> str:
        """Deny everything to the sessions that began before the cut-off."""
        sort, name, moment = aim
        with self._revoking:
            # Another incident's cut-off may be later than ours: going back would let its sessions in again.
            if not self.is_revoked(aim):
                self._put(sort, name, REVOKE_POLICY, _older_than(moment))
        return f"{sort}/{name} sessions from before {moment}"

    def is_revoked(self, aim: tuple[str, str, str]) -> bool:
        """Whether the policy stands, with this cut-off or a later one."""
        sort, name, moment = aim
        statement = _statement(self._policy(sort, name, REVOKE_POLICY))
        there = statement.get("Condition", {}).get("DateLessThan", {}).get("aws:TokenIssueTime")
        return isinstance(there, str) and statement == _older_than(there) and there >= moment

    def _not_ourselves(self, sort: str, name: str) -> None:
        """Raises ConnectorError for the user or role that Aegis itself acts as: it could not undo that."""
        # ...:user/PATH/NAME or ...:assumed-role/NAME/SESSION
        who, _, rest = self.own().rpartition(":")[2].partition("/")
        own = ("user", rest.rpartition("/")[2]) if who == "user" else ("role", rest.partition("/")[0])
        if (sort, name.lower()) == (own[0], own[1].lower()):
            raise ConnectorError(f"{name} is the {sort} that Aegis acts as in AWS: do it by hand")

    @property
    def _iam(self) -> Any:
        return self._api.client("iam")

    def _put(self, sort: str, name: str, policy: str, statement: Mapping[str, Any]) -> None:
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        with self._api.answers():
            if sort == "user":
                self._iam.put_user_policy(UserName=name, PolicyName=policy, PolicyDocument=document)
            else:
                self._iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=document)

    def _policy(self, sort: str, name: str, policy: str) -> Any:
        """The policy's document; {} where there is none."""
        try:
            with self._api.answers():
                if sort == "user":
                    return self._iam.get_user_policy(UserName=name, PolicyName=policy)["PolicyDocument"]
                return self._iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        except TargetNotFound:
            return {}


def _older_than(moment: str) -> dict[str, Any]:
    # The condition that the IAM console's "Revoke active sessions" sets, too.
    return {**_DENY_ALL, "Condition": {"DateLessThan": {"aws:TokenIssueTime": moment}}}


def _statement(document: Any) -> dict[str, Any]:
    """The one statement of a policy; {} where it has none or several."""
    statements = document.get("Statement") if isinstance(document, dict) else None
    if isinstance(statements, list) and len(statements) == 1 and isinstance(statements[0], dict):
        return statements[0]
    return {}


def _name(target: Target) -> str:
    """The name of an IAM user or role, in the characters that IAM allows. Raises ConnectorError."""
    name = value_of(target, "user", "email")
    if not _NAME.fullmatch(name):
        raise ConnectorError(f"{shown(name)} is no name of an IAM user or role")
    return name


def _key_id(target: Target) -> str:
    key = value_of(target, "access_key")
    if _TEMPORARY.fullmatch(key):
        raise ConnectorError(f"{key} is a session's key, which can't be deactivated: revoke the sessions of its role")
    if not _KEY.fullmatch(key):
        raise ConnectorError(f"{shown(key)} is no AWS access key id")
    return key
