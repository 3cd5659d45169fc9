"""Tokens of people: who may answer, review and administer. Their secrets are kept as hashes only."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from aegis_agents.errors import IdentityError, InputError
from aegis_agents.ledger.chain import LedgerTable
from aegis_agents.ledger.rows import TokenRow
from aegis_agents.records import ROLES, Principal, Role

_PREFIX = "aegis_"


class PrincipalTable(LedgerTable):
    """The principals' part of the store."""

    def add_token(self, name: str, roles: Collection[Role], by: Principal, *, valid_for: timedelta) -> str:
        """Make a token and answer it, once: only its hash is kept. Raises InputError."""
        name = name.strip()
        if not name or any(not c.isprintable() for c in name):
            raise InputError("a token needs a person's name", field="name", fix="as in `aegis token add alice`")
        if not roles or (unknown := set(roles) - set(ROLES)):
            wrong = ", ".join(sorted(unknown)) if roles else "none was given"
            raise InputError(f"no such role: {wrong}", field="roles", fix=f"some of {', '.join(ROLES)}")
        if valid_for <= timedelta():
            raise InputError("must be longer than nothing", field="valid_for")
        # 256 random bits can't be guessed, so a plain hash is enough (as for session keys, unlike passwords).
        token = _PREFIX + secrets.token_urlsafe(32)
        token_id, now = _hash(token)[:12], self._clock().astimezone(UTC)
        until = (now + valid_for).isoformat(timespec="microseconds")
        listed = " ".join(role for role in ROLES if role in roles)
        with self.transaction():
            self._run(
                "INSERT INTO principals (token_id, secret_sha256, name, roles, created_at, expires_at, created_by)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (token_id, _hash(token), name, listed, self._now(), until, by.id),
            )
            body = {"token_id": token_id, "name": name, "roles": listed, "expires_at": until, "principal": by.entry()}
            self._enter("token.added", None, body)
        return token

    def revoke_token(self, token_id: str, by: Principal) -> None:
        """End a token at once. Raises InputError if there is none with this id that is in force."""
        with self.transaction():
            done = self._run(
                "UPDATE principals SET revoked_at = ? WHERE token_id = ? AND revoked_at IS NULL",
                (self._now(), token_id),
            )
            if done.rowcount != 1:
                raise InputError(f"no token {token_id!r} is in force", field="token_id", fix="see `aegis token list`")
            self._enter("token.revoked", None, {"token_id": token_id, "principal": by.entry()})

    def tokens(self) -> list[TokenRow]:
        """All tokens ever made, oldest first; never their secrets."""
        rows = self._rows(
            "SELECT token_id, name, roles, created_at, expires_at, revoked_at, created_by FROM principals"
            " ORDER BY created_at, token_id"
        )
        return [TokenRow(**{name: row[name] for name in TokenRow.model_fields}) for row in rows]

    def authenticate(self, token: str) -> Principal:
        """Whose token this is. Raises IdentityError; what is wrong with a token is not told to who holds it."""
        row = self._row(
            "SELECT token_id, name, roles, expires_at, revoked_at FROM principals WHERE secret_sha256 = ?",
            (_hash(token),),
        )
        now = self._clock().astimezone(UTC)
        if row is None or row["revoked_at"] is not None or datetime.fromisoformat(row["expires_at"]) <= now:
            raise IdentityError("token: it is not known, has expired or was revoked")
        held = row["roles"].split()
        return Principal(
            name=row["name"], method="token", roles=frozenset(role for role in ROLES if role in held),
            detail=f"token {row['token_id']}",
        )  # fmt: skip


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
