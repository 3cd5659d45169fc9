"""Everything Aegis raises on purpose.

AegisError
├── InputError            an alert, file or argument is not usable (names field, line and fix)
│   └── LimitExceeded     it is too deep, too big or has too many parts
├── SettingsError         a setting is unknown, missing or out of range
├── ModelError            the model can't be loaded or asked
│   └── ModelTampered     its files are not the ones that were shipped
├── IntelError            the intelligence snapshot can't be built, read or searched
│   └── IntelTampered     its files differ from its manifest
├── StoreError            the database can't be read or written
│   └── InboxFull         as much waits as may: stop reading, and try again
├── StreamError           a stream can't be read
├── EgressRefused         a connection to where Aegis may not connect
├── IdentityError         who asks is not known, or may not do that
├── LedgerError           the ledger can't be appended to or read
│   └── LedgerTampered    its chain is broken (names the entry)
├── PolicyError           a Cedar policy does not parse, validate or load
└── ActionError           a response action can't be taken
    ├── UnknownAction     no such action id
    ├── AlreadyDecided    somebody else answered first
    ├── NotReversible     this action has no undo
    └── ConnectorError    the system that acts said no, or could not be reached
        ├── TargetNotFound    it knows no such target
        ├── NotPermitted      it does not let these credentials do that
        └── TransientConnectorError   trying again may help (the only one that is retried)
"""

from __future__ import annotations


class AegisError(Exception):
    """Base of every error that Aegis raises on purpose."""


class InputError(AegisError):
    """An alert, file or argument is not usable.

    `field` is the path of what is wrong, `fix` what to do about it, `line` the
    1-based line of a batch when there is one.
    """

    def __init__(
        self, message: str, *, field: str | None = None, fix: str | None = None, line: int | None = None
    ) -> None:
        self.message, self.field, self.fix, self.line = message, field, fix, line
        parts = [f"line {line}: " if line is not None else "", f"{field}: " if field else "", message]
        super().__init__("".join(parts) + (f" ({fix})" if fix else ""))

    def at_line(self, line: int) -> InputError:
        """The same error, naming the line of the batch that it came from."""
        return type(self)(self.message, field=self.field, fix=self.fix, line=line)


class LimitExceeded(InputError):
    """The input is too deep, too big or has too many parts."""


class SettingsError(AegisError):
    """A setting is unknown, missing or out of range."""


class ModelError(AegisError):
    """The model can't be loaded or asked."""


class ModelTampered(ModelError):
    """A model file is not the one that was shipped."""


class IntelError(AegisError):
    """The intelligence snapshot can't be built, read or searched."""


class IntelTampered(IntelError):
    """A file of the snapshot differs from its manifest."""


class StoreError(AegisError):
    """The database can't be read or written."""


class InboxFull(StoreError):
    """As much waits as may: whoever brings alerts stops reading, and tries again. Nothing was taken in."""


class StreamError(AegisError):
    """A stream can't be read (names it, and the fix)."""


class EgressRefused(AegisError, OSError):
    """A connection to where Aegis may not connect; an OSError too, so that libraries treat it as a failed connection."""


class IdentityError(AegisError):
    """Who asks is not known (a wrong, expired or revoked token), or may not do that."""


class LedgerError(AegisError):
    """The ledger can't be appended to or read."""


class LedgerTampered(LedgerError):
    """The chain is broken; the message names the first entry that does not fit."""


class PolicyError(AegisError):
    """A Cedar policy does not parse, validate or load."""


class ActionError(AegisError):
    """A response action can't be taken."""


class UnknownAction(ActionError):
    """No action has this id."""


class AlreadyDecided(ActionError):
    """Somebody else answered first."""


class NotReversible(ActionError):
    """This action has no undo."""


class ConnectorError(ActionError):
    """The system that acts said no, or could not be reached."""


class TargetNotFound(ConnectorError):
    """The system that acts knows no such target."""


class NotPermitted(ConnectorError):
    """The system that acts does not let these credentials do that."""


class TransientConnectorError(ConnectorError):
    """Trying again may help; the only error that is retried."""
