"""Mail quarantine in Microsoft 365, by msgraph-sdk: a message leaves its folders and can come back.

In each of the mailboxes that the configuration names, copies with this Message-ID go into a hidden
folder of that mailbox. Where each came from is written onto the message itself, as an extended property that
travels with it, so that a restart of Aegis or another instance loses nothing. A sender chooses a Message-ID
freely: two messages can share one, and then both move; both come back.

Not tenant-wide on purpose: the application should be let into the named mailboxes only (RBAC for
applications in Exchange Online), and each look asks each mailbox, so it suits dozens, not thousands.

Checked against msgraph-sdk's own request code and models, which Microsoft generates from Graph's OpenAPI
document, with a loopback server. Unverified against the vendor: whether a message keeps the property in
every kind of move, whether a list of all messages leaves out hidden folders (both are handled), the words
of its errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final, NamedTuple

from aegis_agents.errors import ConnectorError, SettingsError, TargetNotFound, TransientConnectorError
from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors.microsoft import Graph, SignIn, cloud_named, listed, odata
from aegis_agents.tools.connectors.names import account_name, message_id
from aegis_agents.tools.connectors.protocol import narrowed

SYSTEM: Final = "Mail"
ORIGIN: Final = "String {5d0f6f3c-2b52-4f0e-9c39-8a7f0c1c0a51} Name AegisOrigin"
"""The extended property that says which folder a message came from."""
_MOST_COPIES: Final = 50


class _Copy(NamedTuple):
    mailbox: str
    id: str
    folder: str
    origin: str


class _Found(NamedTuple):
    outside: list[_Copy]
    inside: list[_Copy]
    unknown: list[str]


class MailConnector:
    """quarantine_email, for a message by its Message-ID.

    `tenant_id`, `client_id` and `client_secret` are an application's, with the Graph permission
    Mail.ReadWrite. `mailboxes` are the user principal names that are looked into, and no others; `folder` is
    the hidden folder's name in each. `cloud` is one of global, gcc, gcc_high, dod, china; `graph_url` and
    `authority` are for one that is none of these; `timeout_s` is for one request.
    """

    kind: ClassVar[str] = "mail"
    extra: ClassVar[str] = "microsoft"
    secrets: ClassVar[frozenset[str]] = frozenset({"client_secret"})
    name = "mail"
    actions: frozenset[ActionName] = frozenset({"quarantine_email"})

    def __init__(
        self,
        *,
        tenant_id: str,
        client_id: str,
        client_secret: str,
        mailboxes: Sequence[str],
        folder: str = "Aegis quarantine",
        cloud: str = "global",
        graph_url: str = "",
        authority: str = "",
        timeout_s: float = 15.0,
        actions: Iterable[str] | None = None,
    ) -> None:
        self.actions = narrowed(type(self).actions, actions, self.kind)
        if isinstance(mailboxes, str) or not mailboxes:
            raise SettingsError("mailboxes: name the mailboxes to look into, as a list")
        try:
            self._mailboxes = [account_name(Target(kind="user", value=box)) for box in mailboxes]
        except ConnectorError as error:
            raise SettingsError(f"mailboxes: {error}") from None
        if not folder.strip() or "/" in folder or not folder.isprintable():
            raise SettingsError("folder: a plain name, please")
        self._folder, where = folder, cloud_named(cloud)
        sign_in = SignIn(
            self.kind, tenant_id, client_id, client_secret, authority or where.authority, timeout_s, bool(authority)
        )
        self._graph = Graph(SYSTEM, self.kind, sign_in, graph_url or where.graph, timeout_s)

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        """Move every copy into its mailbox's quarantine; what is there already stays.

        Where some mailboxes would not, the others are done all the same, and the error says so.
        """
        self._check(action)
        found = self._look(message_id(target))
        if not found.outside and not found.inside:
            raise TargetNotFound(f"{SYSTEM}: none of {len(self._mailboxes)} mailboxes holds this message{_but(found)}")
        failed: list[str] = []
        for copy in found.outside:
            try:
                self._take(copy)
            except TransientConnectorError:
                raise
            except ConnectorError as error:
                failed.append(f"{copy.mailbox}: {error}")
        if failed:
            done = len(found.outside) - len(failed)
            raise ConnectorError(f"{SYSTEM}: {done} of {len(found.outside)} copies quarantined, and then: {failed[0]}")
        copies = found.outside + found.inside
        return f"{len(copies)} copies in {len({c.mailbox for c in copies})} mailboxes quarantined{_but(found)}"

    def read(self, action: ActionName, target: Target) -> bool | None:
        """Whether there are copies and all of them are in quarantine."""
        found = self._look(message_id(target))
        return bool(found.inside) and not found.outside

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        """Move every copy back to the folder that it came from; to the inbox where that folder is gone."""
        self._check(action)
        found = self._look(message_id(target))
        for copy in found.inside:
            self._give_back(copy)
        return f"{len(found.inside)} copies restored" if found.inside else ""

    def _check(self, action: ActionName) -> None:
        if action not in type(self).actions:
            raise ConnectorError(f"{SYSTEM} does not do {action}")

    def _look(self, wanted: str) -> _Found:
        """All copies in all mailboxes, before anything is moved. Raises where a mailbox can't be asked."""
        found = _Found([], [], [])
        for mailbox in self._mailboxes:
            try:
                quarantine = self._quarantine(mailbox)
                everywhere = self._copies(mailbox, wanted, None)
            except TargetNotFound:
                # Somebody left: that must not keep the others' copies where they are.
                found.unknown.append(mailbox)
                continue
            found.outside.extend(copy for copy in everywhere if copy.folder != quarantine)
            if quarantine is not None:
                found.inside.extend(self._copies(mailbox, wanted, quarantine))
        return found

    def _copies(self, mailbox: str, wanted: str, folder: str | None) -> list[_Copy]:
        from kiota_abstractions.base_request_configuration import RequestConfiguration
        from msgraph.generated.users.item.messages.messages_request_builder import MessagesRequestBuilder

        query = MessagesRequestBuilder.MessagesRequestBuilderGetQueryParameters(
            filter=f"internetMessageId eq {odata(wanted)}",
            select=["id", "internetMessageId", "parentFolderId"],
            expand=[f"singleValueExtendedProperties($filter=id eq {odata(ORIGIN)})"],
            top=_MOST_COPIES,
        )
        asked: RequestConfiguration[Any] = RequestConfiguration(query_parameters=query)

        def call(graph: Any) -> Any:
            box = graph.users.by_user_id(mailbox)
            place = box if folder is None else box.mail_folders.by_mail_folder_id(folder)
            return place.messages.get(request_configuration=asked)

        page = self._graph.run(call)
        if page is not None and page.odata_next_link:
            raise ConnectorError(
                f"{SYSTEM}: {mailbox} holds more than {_MOST_COPIES} copies of this message: look by hand"
            )
        return [
            _Copy(mailbox, str(m.id), str(m.parent_folder_id), _origin(m))
            for m in listed(page, SYSTEM)
            if m.id and m.internet_message_id == wanted
        ]

    def _quarantine(self, mailbox: str) -> str | None:
        """The id of this mailbox's quarantine folder, if it is there. Raises ConnectorError if it can be seen."""
        from kiota_abstractions.base_request_configuration import RequestConfiguration
        from msgraph.generated.users.item.mail_folders.mail_folders_request_builder import MailFoldersRequestBuilder

        query = MailFoldersRequestBuilder.MailFoldersRequestBuilderGetQueryParameters(
            filter=f"displayName eq {odata(self._folder)}", include_hidden_folders="true"
        )
        asked: RequestConfiguration[Any] = RequestConfiguration(query_parameters=query)
        page = self._graph.run(
            lambda graph: graph.users.by_user_id(mailbox).mail_folders.get(request_configuration=asked)
        )
        folders = [f for f in listed(page, SYSTEM) if f.display_name == self._folder]
        if any(not f.is_hidden for f in folders):
            raise ConnectorError(f"{SYSTEM}: {mailbox} has a folder {self._folder!r} that its owner sees: rename it")
        return str(folders[0].id) if folders else None

    def _take(self, copy: _Copy) -> None:
        from msgraph.generated.models.message import Message
        from msgraph.generated.models.single_value_legacy_extended_property import SingleValueLegacyExtendedProperty

        quarantine = self._quarantine(copy.mailbox) or self._made(copy.mailbox)
        # First where it came from, then the move: cut off in between, it is where it was.
        mark = SingleValueLegacyExtendedProperty(id=ORIGIN, value=copy.folder)
        marked = Message(single_value_extended_properties=[mark])
        self._graph.run(
            lambda graph: graph.users.by_user_id(copy.mailbox).messages.by_message_id(copy.id).patch(marked)
        )
        self._move(copy, quarantine)

    def _made(self, mailbox: str) -> str:
        """A new quarantine folder's id; the other's, if somebody else makes it at the same moment."""
        from msgraph.generated.models.mail_folder import MailFolder

        hidden = MailFolder(display_name=self._folder, is_hidden=True)
        try:
            return str(self._graph.run(lambda graph: graph.users.by_user_id(mailbox).mail_folders.post(hidden)).id)
        except ConnectorError:
            if (there := self._quarantine(mailbox)) is None:
                raise
            return there

    def _give_back(self, copy: _Copy) -> None:
        try:
            self._move(copy, copy.origin or "inbox")
        except TargetNotFound:
            self._move(copy, "inbox")

    def _move(self, copy: _Copy, folder: str) -> None:
        from msgraph.generated.users.item.messages.item.move.move_post_request_body import MovePostRequestBody

        body = MovePostRequestBody(destination_id=folder)
        self._graph.run(
            lambda graph: graph.users.by_user_id(copy.mailbox).messages.by_message_id(copy.id).move.post(body)
        )


def _origin(message: Any) -> str:
    marks = message.single_value_extended_properties or ()
    return next((str(m.value) for m in marks if (m.id or "").lower() == ORIGIN.lower() and m.value), "")


def _but(found: _Found) -> str:
    return f" ({len(found.unknown)} mailboxes unknown: {', '.join(found.unknown[:3])})" if found.unknown else ""
