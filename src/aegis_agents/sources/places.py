"""Which kind of entity a field holds, and in which role, by its name alone."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from aegis_agents.records import EntityKind, EntityRole
from aegis_agents.sources.keys import Keys, word_set


class Place(NamedTuple):
    """The kind and role that a field's name promises; `sure` when any plain value of it is one.

    Where it is not sure (`device`, `src`, `name` below something vague), the value must look the part.
    """

    kind: EntityKind
    role: EntityRole
    sure: bool = True


# Fields that hold a user whatever their parent.
_USER: Final = re.compile(
    r"^(?:user|username|useraccount|accountname|login|loginname|loggedonuser|logonuser|samaccountname|srcuser|dstuser|"
    r"sourceuser(?:name)?|dest(?:ination)?user(?:name)?|suser|duser|actor|actorname|principalname|userprincipalname|upn|"
    r"processuser|parentuser|requester|initiator|initiatedby|subjectusername|targetusername|targetuser|actinguser|"
    r"principalemail|useremail|userid|usernames?|uname(?:after|before)?|mailbox|clientuser|runas|operator|"
    r"loginuser|effectiveuser|account|accountupn|whodidit|impersonateduser|member|dbuser|aduser|"
    r"initiatingprocessaccountname|accountdisplayname|actoralternateid|caller)$"
)
# Users that are named for something else than doing it: owners, approvers, colleagues.
_NAMED_USER: Final = re.compile(
    r"(?:owner|ownername|managedby|manager|assignee|assignedto|approver|approvedby|createdby(?:displayname)?|requestedby|"
    r"signer|author|committer|commitauthor|contact|raisedby|openedby|witness|projectsigner|custodian|oncall|reportedby)$"
)
_USER_PARENT: Final = re.compile(
    r"^(?:user|actor|account|useraccount|loginuser|effectiveuser|sessionissuer|subject|principal|requester|owner|"
    r"kubernetesuserdetails|sourceuser|targetuser|sessionleader|useridentity|author|assignee|approver|initiator)$"
)
_USER_LEAF: Final = frozenset(
    ("name", "id", "login", "alternateid", "email", "fullname", "username", "upn", "emailaddr")
)

_HOST: Final = re.compile(
    r"^(?:hostname|computer|computername|devicename|devicednsname|fqdn|workstation|workstationname|agentcomputername|"
    r"agenthostname|srcnthost|srchost|sourcehost|source?hostname|dest(?:ination)?host(?:name)?|dvchost|dvc|vmname|instanceid|"
    r"nodename|servername|machinename|machine|sourcedevicehost|destinationdevicehost|dnshostname|netbiosname|clientmachine|"
    r"desthost|dsthost|dstnthost|destnthost|hostdisplayname|agentname|virtualmachine|clientname|remotehost)$"
)
_HOST_PARENT: Final = re.compile(
    r"^(?:host|agent|device|computer|node|machine|endpoint|srcendpoint|workstation|server|asset|source|target|instance|"
    r"hostinfo|deviceinfo|agentrealtimeinfo|vm|srchost|dsthost|hostnameinfo)$"
)
_VAGUE_HOST: Final = re.compile(r"^(?:host|device|node|asset|machine|server|system|srcdevice|agent|endpoint|vm)$")
_SENSOR: Final = re.compile(r"\.(?:manager|sensor|observer|collector|decoder|peerdescr|probe|forwarder|beat|ecs)\.")

_FILE: Final = re.compile(
    r"(?:filepath|targetfilename|filename|filenames|folderpath|imageloaded|executable|filefullpath|imagepath|localpath)$"
)
_PROCESS: Final = re.compile(
    r"^(?:processname|image|sourceimage|targetimage|procname|originatorprocess|newprocessname|parentprocessname|parentimage|"
    r"processpath|initiatingprocessfilename)$"
)
_DOMAIN: Final = re.compile(
    r"(?:domain|domains|fqdn|sni|queryname|registereddomain|rrname|dnsname|qname|dnsquery|dnsdomain|hostheader|tlshost|"
    r"destinationdomain|urldomain|query|servernameindication|dnsrequest|requestdomain)$"
)
_WINDOWS_DOMAIN: Final = re.compile(
    r"(?:domainname|userdomain|accountdomain|subjectdomain|targetdomain|ntdomain|logondomain|machinedomain|domainid)$"
)
_IP_SENT: Final = word_set("src source client caller sender remote attacker orig origin clicking external click")
_IP_CLAIMED: Final = word_set("forwarded xff real true")
"""Of addresses that a request says it came from: whoever sent it wrote them."""
_IP_MET: Final = word_set("dst dest destination target resp responder server peer")


@lru_cache(maxsize=4096)
def place_of(keys: Keys) -> Place | None:
    """What kind of entity the field's name promises; None if none."""
    if _SENSOR.search(keys.joined):
        return None
    return _identity(keys) or _thing(keys)


def _identity(keys: Keys) -> Place | None:
    leaf, parent = keys.leaf, keys.parent
    if leaf in ("accesskeyid", "apikeyid", "serviceaccountkeyname", "accesskey", "keyid", "awsaccesskeyid"):
        return Place("access_key", "actor")
    if leaf in (
        "accountid",
        "awsaccountid",
        "recipientaccountid",
        "projectid",
        "subscriptionid",
        "useridentityaccountid",
    ):
        return Place("cloud_account", "observed")
    if (leaf.startswith("recipient") and "account" not in leaf) or leaf in (
        "toaddress",
        "primaryaddress",
        "mailto",
        "rcptto",
    ):
        return Place("email", "subject")
    if leaf in ("sender", "headerfrom", "fromaddress", "senderaddress", "mailfrom", "envfrom", "from"):
        return Place("email", "actor")
    if _NAMED_USER.search(leaf) or (_NAMED_USER.search(parent) and leaf in _USER_LEAF):
        return Place("user", "observed", sure=False)
    if _USER.match(leaf):
        return Place("user", _user_role(keys))
    if _USER_PARENT.match(parent) and leaf in _USER_LEAF and not (leaf == "id" and parent != "principal"):
        return Place("user", _user_role(keys))
    return None


def _user_role(keys: Keys) -> EntityRole:
    if keys.leaf.startswith(("dst", "dest", "target")) or ".target." in keys.joined or keys.leaf == "mailbox":
        return "subject"
    return "observed" if keys.leaf.startswith(("uname", "member")) or "parent" in keys.words else "actor"


def _thing(keys: Keys) -> Place | None:
    leaf, parent, joined = keys.leaf, keys.parent, keys.joined
    web = any(part in joined for part in (".http.", ".dns.", ".url.", ".tls.", ".dstendpoint.", ".dest."))
    if leaf in ("podname", "pod") or (leaf == "name" and parent in ("pod", "pods")):
        return Place("pod", "subject")
    if leaf in ("repo", "repository", "reponame", "repositoryname") or (
        parent == "repository" and leaf in ("name", "fullname")
    ):
        return Place("repository", "subject") if "image" not in keys.above else None
    if leaf in ("hostname", "fqdn", "name", "host") and web:
        return Place("domain", "peer") if leaf != "name" or parent == "question" else None
    if _HOST.match(leaf) or (leaf in ("name", "hostname") and _HOST_PARENT.match(parent)):
        return Place("host", "peer" if leaf.startswith(("dest", "dst", "remote")) else "subject")
    if _VAGUE_HOST.match(leaf):
        return Place("host", "subject", sure=leaf == "host")
    if leaf in ("src", "dest", "dst", "source", "destination", "target", "dhost", "shost"):
        return Place("host", "subject" if leaf[0] == "s" else "peer", sure=False)
    if "hash" not in joined and _FILE.search(leaf):
        return Place("file", "subject")
    if leaf in ("path", "name") and parent in ("file", "syscheck", "targetfile", "image", "attachment", "fileinfo"):
        return Place("file", "subject")
    if _PROCESS.match(leaf) or (leaf == "name" and parent in ("process", "proc", "sourceprocess", "parentprocess")):
        return Place("process", "observed" if "parent" in joined else "subject")
    if _DOMAIN.search(leaf) and not _WINDOWS_DOMAIN.search(leaf) and parent not in ("user", "useraccount", "account"):
        return Place("domain", "peer", sure=False)
    if leaf in (
        "resourcename",
        "bucketname",
        "bucket",
        "clustername",
        "resourcearn",
        "functionname",
        "trailname",
        "dbname",
    ):
        return Place("resource", "subject")
    if leaf in ("id", "name", "uid", "arn") and parent in (
        "resources",
        "resource",
        "eksclusterdetails",
        "s3bucketdetails",
    ):
        return Place("resource", "subject")
    return None


@lru_cache(maxsize=4096)
def ip_role(keys: Keys, internal: bool) -> EntityRole:
    """The role of an address that is a field's whole value.

    The organization's own addresses are what the alert is about; others are who came (actor) or where it went (peer).
    """
    words = keys.words | keys.above
    if "parent" in words or keys.leaf.endswith(("ranges", "list")) or words & _IP_CLAIMED:
        return "observed"
    if words & _IP_SENT:
        return "subject" if internal else "actor"
    if words & _IP_MET:
        return "peer"
    if internal:
        return "subject"
    return "actor" if words & {"ip", "ips", "ipaddress", "address", "addresses"} else "observed"
