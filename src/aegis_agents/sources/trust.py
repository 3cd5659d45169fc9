"""Who could have written a field: anybody, the sensor, or the organization itself.

Decided from the names of the fields alone, never from what they say: a value that
claims to be approved does not become trusted by it. In doubt the answer is "external".

The order is: what the format knows → names that carry text chosen by others → names of
the organization's own records → names of what sensors measure → the value's shape
(numbers, booleans, clocks and ids can't carry a message) → external.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from aegis_agents.records import Trust
from aegis_agents.sources.flatten import Leaf
from aegis_agents.sources.keys import Keys, word_set

Rules = Sequence[tuple[str, Trust]]
"""A format's own knowledge: (part of the dotted lower-case path, trust); the first that fits wins (see `fits`)."""

_LEAST: Final[tuple[Trust, ...]] = ("external", "organization", "product")


def least(trusts: Sequence[Trust]) -> Trust:
    """The least trusted of these: what is derived from facts is no better than the worst of them."""
    return min(trusts, key=_LEAST.index)


# Parts of a last key that mean: this text was chosen by whoever caused the event.
_CHOSEN: Final = re.compile(
    r"commandline|cmdline|cmd_?line|processarg|useragent|browser|subject(?!user|logon|domain|sid)|filename|filepath|"
    r"folderpath|\burl|urls?$|uri$|referr?er|replyto|xmailer|snippet|diff$|payload|body|scriptblock|queryname|"
    r"question|rrname|\bsni$|issuerd?n?$|imageloaded|targetobject|pipename|objectname|taskname|servicename|"
    r"rawrequest|displaymessage|commitmessage|sessionname$|(?:session|user|identity|principal|caller)arn$|contents?$|attachment|arguments?$|args$|argv|"
    r"password|passphrase|justification|reason$|answers?$|output$|printable|cookie|bannertext|magic$|"
    r"httphost|hostheader|tlshost|forwarded|\bxff$|realip$|trueclientip"
)
# One of these words in the last key: it carries what was seen as it was seen, whatever else the key says.
_CARRIED: Final = word_set(
    "raw original input details detail data context log logs line string extra additional info information free"
)
_OF_WHAT_KIND: Final = word_set("type level class category kind id code count")
# The same for a word anywhere above: everything in it was sent by the other side.
_SENT: Final = word_set(
    "header headers http request response env environ annotations cookie cookies form querystring dns tls ssl smtp "
    "email mail commit pods pod container containers payload calendar invite invitation"
)
# One of these words in the last key, where nothing else fits better: names and paths that others choose.
_NAMED: Final = word_set(
    "file path image executable process parent directory registry module dll driver command script domain fqdn "
    "publisher signer company product description message text comment title name package branch tag snippet member"
)
_RECORDS: Final = word_set(
    "ticket change changes chg permit approved approval approvals approver approvers maintenance owner owners "
    "ownership manager department dept bunit hr badge oncall inventory cmdb asset assets tags labels comment "
    "comments note notes marks watchlist requested sanctioned assignee assigned contract exemption exception "
    "exceptions whitelist allowlist allowed roster shift staffing vacation criticality tier zone zones window "
    "exercise sim simulation drill schedule scheduled business team workflow justified contractor employee "
    "employment netinfo rbac ranges range expected usual custodian vault checkout hire leaver purpose dpia "
    "pipeline"
)
# In a record, these are typed by whoever opened it or was allowed to name a resource, a user or a bot among them.
_TYPED: Final = word_set("description summary body name message text subject")
_WRITTEN_BY_STAFF: Final = word_set("comments comment notes note owner assignee approver manager site team")
_RECORD_KEYS: Final = re.compile(
    r"calendar|managedby|requestedby|enddate|jobtitle|bunit|changeref|workorder|usergroup|group(?:name|s)?$|zoneroute|"
    r"namedlocation|fromzone|tozone|organizationmember|vendorportal|netinfo|"
    r"(?:user|asset|job|device|src|dest)role$|(?:user|src|dest|source)category$"
)
"""The same where it takes two words, looked for in the last two keys written as one."""
_MEASURED: Final = word_set(
    "severity priority urgency score confidence verdict disposition action actions status outcome result count total "
    "bytes packets pkts duration length size id ids uid uuid guid hash hashes md5 sha1 sha256 sha512 imphash ja3 "
    "timestamp time date created updated seen ip ips ipv4 ipv6 port ports proto protocol asn asnumber asorg geo "
    "country city region location rule rules signature signatures technique techniques tactic tactics category "
    "class type types version engine engines detection detections prevalence reputation signed valid trusted "
    "compliant compliance compliancestate managed encryption mfa factor behaviors risk baseline platform os user "
    "username account principal logon login session event threat sensor agent provider vendor channel level code "
    "method state kind analytic serial sid indicator indicators disposition mode rating interval flow community "
    "direction classification requester caller authentication auth certificate "
    " device devices host hostname computer computername workstation credential"
)
_SHAPE: Final = re.compile(
    r"[0-9+.,%:/ -]{1,40}|\d{4}-\d\d-\d\d[T ][0-9:.,]+(?:Z|[+-]\d\d:?\d\d)?|[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?"
    r"[0-9a-fA-F]{12}|[0-9a-fA-F]{32,64}|[0-9A-Fa-f:]{3,39}|true|false|True|False|\(empty\)"
)
_HOST_NAMES: Final = word_set("hostname dnsname devicednsname devicename computername computer workstation vmname fqdn")
_OTHER_SIDE: Final = word_set("dstendpoint destination dest dst remote server url domain")
_ITS_NAME: Final = word_set(
    "rule analytic user loginuser useraccount actor account provider product host device agent computer machine source "
    "src workstation node target asset os sessionissuer"
)
_JUST_A_NAME: Final = word_set("name text title")


def fits(part: str, joined: str) -> bool:
    """Whether a rule's part of a path is in the keys of a value; "^.name." means: from the top."""
    return joined.startswith(part[1:]) if part[0] == "^" else part in joined


def trust_of(leaf: Leaf, rules: Rules = ()) -> Trust:
    """Who could have written this value."""
    for part, trust in rules:
        if fits(part, leaf.keys.joined):
            return trust
    named = _by_name(leaf.keys)
    if named is not None and not (named == "external" and leaf.plain):
        return named
    return "product" if leaf.plain or _SHAPE.fullmatch(leaf.value) else "external"


@lru_cache(maxsize=4096)
def _by_name(keys: Keys) -> Trust | None:
    """What the names say; None leaves it to the shape of the value."""
    words, above = keys.words, keys.above
    if _CHOSEN.search(keys.leaf) or above & _SENT:
        return "external"
    everywhere = words | above
    if "sensor" not in words and (everywhere & _RECORDS or _RECORD_KEYS.search(keys.parent + keys.leaf)):
        typed = keys.leaf in _TYPED and keys.parent not in _WRITTEN_BY_STAFF
        return "external" if typed else "organization"
    if keys.leaf in _HOST_NAMES:
        return "external" if keys.parent in _OTHER_SIDE else "product"
    if keys.leaf in ("name", "displayname", "alternateid"):
        return "product" if keys.parent in _ITS_NAME and keys.leaf != "displayname" else "external"
    if words & _NAMED and keys.leaf not in ("eventname", "methodname", "rulename", "username", "accountname"):
        if keys.parent in ("rule", "finding", "findinginfo", "analytic", "signature", "alert", "indicators"):
            return "product"
        # A title or a description at the top is the sensor's; file names, paths and other names are anybody's.
        if not keys.parent and keys.leaf in ("title", "description", "ruletitle", "product"):
            return "product"
        if words & _MEASURED:  # severity_name is the sensor's, file_type may hold anything: its shape decides
            return "product" if words & _NAMED <= _JUST_A_NAME else None
        return "external"
    if words & _MEASURED:
        carried = words & _CARRIED and not words & _OF_WHAT_KIND
        return None if carried else "product"  # None: the value's shape decides, a number is no message
    return None
