"""When each response action is called for, in the words of those who look for one. Written for Aegis."""

from __future__ import annotations

from types import MappingProxyType

from aegis_agents.records import ActionName

USES: MappingProxyType[ActionName, tuple[str, ...]] = MappingProxyType({
    "isolate_host": (
        "Contain a compromised computer, server or endpoint: ransomware, a worm, lateral movement, an active intruder.",
        "Disconnect the device from the network while it stays powered on, so that an implant loses its operator.",
    ),
    "disable_user": (
        "Deactivate a compromised, rogue or abandoned identity so that nobody can log on with it any more.",
        "Suspend an insider, a leaver, an abused service account or an administrator whom an attacker created.",
    ),
    "revoke_sessions": (
        "Invalidate stolen session cookies and refresh tokens; sign somebody out on all devices.",
        "Adversary-in-the-middle phishing, token theft and replay, session hijacking, impossible travel.",
    ),
    "reset_password": (
        "Change credentials that were phished, guessed, leaked, cracked or dumped.",
        "Brute force or password spraying succeeded; a user gave a password away.",
    ),
    "disable_access_key": (
        "A cloud API key, secret or token leaked into code, logs or a repository and is abused.",
        "Long-lived programmatic credentials of AWS IAM, GCP or Azure used by a stranger; rotate the key.",
    ),
    "block_ip": (
        "Firewall rule against an external address: scanning, brute force, exploitation, command and control, exfiltration.",
        "Traffic of an attacker's server or of a denial of service is dropped at the perimeter.",
    ),
    "block_domain": (
        "Sinkhole a malicious domain or URL: phishing site, malware download, command and control by name.",
        "DNS tunnelling, generated domain names, a look-alike or newly registered web site.",
    ),
    "block_hash": (
        "Deny execution of a known bad binary on every endpoint: malware, loader, vulnerable driver, unwanted tool.",
        "The same malicious executable is seen on many machines; application control by SHA-256.",
    ),
    "quarantine_file": (
        "A malicious file was found or dropped on disk and has not run: malware, web shell, DLL, macro document.",
        "Antivirus detection on a share or download; lock the sample away so that it can be restored.",
    ),
    "quarantine_email": (
        "Phishing, fraud or a malicious attachment was delivered to mailboxes: recall, pull or purge the mail.",
        "Business e-mail compromise, spoofed sender, QR code lure, invoice scam in inboxes.",
    ),
    "kill_process": (
        "Malicious code is executing now: terminate the script, shell, miner, injected process or container.",
        "Stop credential dumping, a reverse shell, an encoded PowerShell or a rogue pod while it runs.",
    ),
    "snapshot_disk": (
        "Preserve forensic evidence from a machine or cloud volume before it is cleaned, rebuilt or wiped.",
        "Acquire an image of the volume for investigators, a legal case or later analysis.",
    ),
    "add_watchlist": (
        "Monitor an account, address or machine that is suspicious without proof; be told of further activity.",
        "Uncertain or low-risk findings, leavers, tuning of a rule: keep observing instead of acting.",
    ),
    "open_ticket": (
        "Escalate to a human analyst: unclear, contradictory or missing evidence, protected or critical assets.",
        "A case that automation must not decide or act upon; hand over for investigation and approval.",
    ),
    "notify_owner": (
        "Inform or ask the responsible team, developer, maintainer or administrator about what happened.",
        "Confirm with the person whether an activity was theirs; the owner should fix or verify it.",
    ),
    "close_alert": (
        "False positive or benign: expected, approved, scheduled, authorised or planned activity; nothing malicious.",
        "A penetration test, scanner, backup, maintenance window, update or misfiring rule explains the detection.",
    ),
})  # fmt: skip
"""ActionName → passages on when it is used."""
