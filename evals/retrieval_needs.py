"""Needs in words and the response actions that answer them, written for Aegis before any passage was changed.

Each line is `half | right actions | what somebody says`. One half may choose (`tune`), the other only
reports. Whoever wrote these also wrote the uses that the actions are found by, so the alerts of
dev_cases, which others wrote, stand beside them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from aegis_agents.records import CATALOGUE, ActionName

Half = Literal["tune", "report"]


class Need(NamedTuple):
    """What somebody says, and the actions of which any one is right."""

    half: Half
    actions: tuple[ActionName, ...]
    text: str


_LINES = """
tune | isolate_host | Ransomware is encrypting shares from one laptop right now and we must stop it spreading
report | isolate_host | A beacon on the accountant's workstation keeps talking to its operator, cut it off before he moves on
tune | isolate_host | The web server has a web shell and somebody is typing commands on it
report | isolate_host | Worm-like SMB scanning started from a kiosk machine and other computers are being infected
tune | isolate_host | Keep the compromised server powered on but nobody may reach it and it may reach nobody
report | isolate_host snapshot_disk | Hands-on-keyboard intrusion on a file server, contain the machine
tune | disable_user | A dismissed administrator still signs in with his old login at night
report | disable_user | The contractor left last week and his credentials are being used from abroad, he must not get in any more
tune | disable_user | The attacker made himself a new domain admin called svc_help
report | disable_user reset_password | Service account is being abused for Kerberos attacks and we need it switched off
tune | disable_user | An insider is downloading the whole customer base, stop him from logging on at all
report | disable_user | A dormant identity woke up and granted itself global administrator
tune | revoke_sessions reset_password | The phishing proxy stole a cookie and replays it although the victim passed MFA
report | revoke_sessions | An adversary holds a valid OAuth refresh token, kick out everybody who is signed in as her
tune | revoke_sessions | Log this employee out everywhere, a stolen laptop was still logged in to mail
report | revoke_sessions reset_password | Impossible travel with a hijacked browser cookie, the token has to be invalidated
tune | revoke_sessions | Sign-in from an anonymiser with a token minted elsewhere, force a new authentication
report | revoke_sessions | Pass-the-cookie against the chat tenant, terminate live logins
tune | reset_password | An employee typed her secret into a fake Microsoft page
report | reset_password | Credentials of a user turned up in a dump on a criminal forum and they still work
tune | reset_password disable_user | Password spraying succeeded against one mailbox
report | reset_password | Somebody guessed the weak passphrase of the VPN user by brute force, give him a new one
tune | reset_password | The hash of a helpdesk member was cracked offline, so change what he logs in with
report | reset_password revoke_sessions | User confirms that he gave his login to a caller who pretended to be IT
tune | disable_access_key | An AWS secret was pushed to a public repository and is being used from a cloud in another country
report | disable_access_key | AKIA credentials leaked in a CI log and somebody enumerates buckets with them
tune | disable_access_key | The API token of the build robot was stolen by a malicious package
report | disable_access_key | GCP service account JSON was found on a paste site, make it useless at once
tune | disable_access_key | Unknown party calls our cloud API with a long-lived programmatic credential of a developer
report | disable_access_key | Cryptomining instances were launched using static IAM keys of an intern
tune | block_ip | One external machine hammers the SSH port with thousands of logins
report | block_ip | Exploit attempts against our VPN gateway all come from 203.0.113.50, keep it out at the firewall
tune | block_ip | Command and control runs to a bare address without any name
report | block_ip | A scanner on the internet probes every port of the DMZ
tune | block_ip block_domain | Data flows out to a rented server abroad over port 8443
report | block_ip | Denial of service from a single source, discard its packets
tune | block_domain | Staff are clicking a look-alike login site that was registered yesterday
report | block_domain | Malware resolves generated names for its control server, sinkhole them
tune | block_domain | The implant calls home to update-cdn.example by name and changes addresses every hour
report | block_domain | DNS tunnelling to one zone carries our documents out
tune | block_domain quarantine_email | A campaign links to hxxp://invoice-view.example, nobody should be able to open that site
report | block_domain | A drive-by download is served by a compromised web site that our users visit
tune | block_hash quarantine_file | The same dropper binary appears on several computers, prevent execution everywhere
report | block_hash | Known bad SHA-256 of a loader from an advisory, it must not start on any endpoint
tune | block_hash | A vulnerable signed driver is brought along by attackers to kill our sensor
report | block_hash | Users keep starting the same trojanised installer from different folders, deny it fleet-wide
tune | quarantine_file | The scanner found a malicious macro document in Downloads that nobody opened yet
report | quarantine_file | A dropped DLL sits in ProgramData waiting to be loaded, put it out of reach but keep it
tune | quarantine_file isolate_host | A web shell was written into the upload directory of the portal
report | quarantine_file | Antivirus saw an infected archive on the file share, lock the sample away
tune | quarantine_email | A phishing mail with a fake invoice reached forty inboxes
report | quarantine_email | Pull back the message with the poisoned attachment from everyone who received it
tune | quarantine_email | Business e-mail compromise: a spoofed letter from the CEO asks for a transfer and lies unread
report | quarantine_email | QR code lures went to the whole finance team this morning, remove them before they are read
tune | kill_process | PowerShell with an encoded command is running under Word, stop it
report | kill_process | xmrig is eating the CPU of a container
tune | kill_process | mimikatz is executing in memory at this moment
report | kill_process isolate_host | A reverse shell spawned by nginx is still alive
tune | kill_process | rundll32 was injected with shellcode and keeps running
report | kill_process | A cryptominer pod was scheduled into the cluster, terminate it
tune | snapshot_disk | Preserve evidence from the virtual machine before it is rebuilt
report | snapshot_disk | Lawyers need a forensic copy of the stolen server's volume
tune | snapshot_disk | Investigators will want the EBS volume as it is now
report | snapshot_disk | Save the state of the machine for later examination, the attacker may wipe it
tune | add_watchlist | We are not sure about this account yet, tell us when it does anything else unusual
report | add_watchlist | The address looks odd but nothing is proven, keep an eye on it
tune | add_watchlist | A leaver with access to designs should be monitored for the next two weeks
report | add_watchlist | Suspicious domain with no verdict yet, observe who contacts it
tune | open_ticket | It is not clear whether this is an attack, an analyst must look
report | open_ticket | Nobody can decide this automatically, hand it to a human
tune | open_ticket | The mailbox is a protected executive's, so only escalate to people on call
report | open_ticket | Evidence contradicts itself, we need somebody to investigate
tune | notify_owner | Let the team that runs the database know that an export happened
report | notify_owner | Ask the developer whether he really made that deployment
tune | notify_owner | The repository's maintainers should hear that a secret was committed
report | notify_owner | Tell the person responsible for this server that a scan by us set off the alarm
tune | close_alert | The red team exercise was announced and this is part of it
report | close_alert | The detection matched a backup job that runs every night as approved
tune | close_alert | False alarm: the rule mistook our own vulnerability scanner for an intruder
report | close_alert | Nothing happened, the signature fired on a harmless update
tune | close_alert notify_owner | Planned maintenance with an approved change request explains all of it
report | close_alert | Impossible travel is explained by the company's own VPN exit, no threat
"""


def needs(half: Half) -> list[Need]:
    """The needs of one half, in order. Raises KeyError where a line names an action that is not in the catalogue."""
    found = []
    for line in _LINES.strip().splitlines():
        part, names, text = line.split(" | ")
        if part == half:
            found.append(Need(half, tuple(CATALOGUE[name].name for name in names.split()), text))  # type: ignore[index]
    return found
