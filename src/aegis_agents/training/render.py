"""Puts a drawn scenario into the native shape of a product.

Each product has a skeleton (what it always sends) and a bag (where it puts what it has
no field for). Shapes follow the vendors' public schemas; all contents are invented.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

from aegis_agents.training.values import Values

Json = Any


class Draft(NamedTuple):
    """A scenario before it has a shape: a title, a severity that proves nothing, and fields."""

    title: str
    severity: int  # 0 informational .. 4 critical
    fields: list[tuple[str, Json]]


_LEVELS = ("informational", "low", "medium", "high", "critical")


def _nest(tree: dict[str, Json], path: str, value: Json) -> None:
    """Set a dotted path, without losing what is already there."""
    *parents, leaf = path.split(".")
    for part in parents:
        node = tree.setdefault(part, {})
        if not isinstance(node, dict):
            tree[f"{part}.{leaf}"] = value
            return
        tree = node
    while leaf in tree:
        leaf += "_2"
    tree[leaf] = value


def _fill_bag(bag: dict[str, Json], fields: list[tuple[str, Json]], rng: random.Random) -> None:
    flat = rng.random() < 0.4
    for name, value in fields:
        if flat:
            bag[name] = value
        else:
            _nest(bag, name, value)


def _pairs(fields: list[tuple[str, Json]]) -> list[dict[str, Json]]:
    return [{"name": name, "value": value} for name, value in fields]


def _at(v: Values) -> str:
    return v.now.strftime("%Y-%m-%dT%H:%M:%SZ")


def _defender(d: Draft, v: Values) -> dict[str, Json]:
    alert: dict[str, Json] = {
        "id": f"da{v._digits(18)}_{v._digits(9)}", "incidentId": v._digits(5), "status": "new", "severity": _LEVELS[d.severity],
        "serviceSource": v.rng.choice(("microsoftDefenderForEndpoint", "microsoftDefenderForOffice365", "microsoftDefenderForIdentity", "microsoftDefenderForCloudApps")),
        "detectionSource": v.rng.choice(("antivirus", "microsoftDefenderForEndpoint", "customDetection")), "title": d.title,
        "category": v.rng.choice(("SuspiciousActivity", "CredentialAccess", "Execution", "InitialAccess")), "createdDateTime": _at(v),
        "evidence": [{"@odata.type": "#microsoft.graph.security.deviceEvidence", "deviceDnsName": v["host"]}, {"@odata.type": "#microsoft.graph.security.userEvidence", "userAccount": {"accountName": v["user"]}}],
    }  # fmt: skip
    cut = v.rng.randrange(len(d.fields) + 1)
    _fill_bag(alert["evidence"][v.rng.randrange(2)], d.fields[:cut], v.rng)
    _fill_bag(alert.setdefault("additionalData", {}), d.fields[cut:], v.rng)
    return alert


def _sentinel(d: Draft, v: Values) -> dict[str, Json]:
    custom: dict[str, Json] = {}
    _fill_bag(custom, d.fields, v.rng)
    properties = {
        "title": d.title, "severity": _LEVELS[min(d.severity, 3)].title(), "status": "New", "incidentNumber": int(v._digits(5)), "createdTimeUtc": _at(v),
        "additionalData": {"alertProductNames": ["Azure Sentinel"], "tactics": []}, "relatedAnalyticRuleIds": [f"rule-{v._digits(3)}"],
        "relatedEntities": [{"kind": "Account", "properties": {"accountName": v["user"]}}, {"kind": "Ip", "properties": {"address": v["ip_ext"]}}],
        "alerts": [{"properties": {"systemAlertId": v["guid"], "additionalData": {"Custom Details": custom}}}],
    }  # fmt: skip
    return {"objectEventType": "Create", "objectSchemaType": "Incident", "workspaceInfo": {"WorkspaceName": f"law-{v._digits(3)}"}, "object": {"name": v["guid"], "properties": properties}}  # fmt: skip


def _crowdstrike(d: Draft, v: Values) -> dict[str, Json]:
    alert = {
        "composite_id": f"{v._hex(6)}:ind:{v._hex(32)}:{v._digits(8)}", "aggregate_id": f"aggind:{v._hex(16)}", "product": v.rng.choice(("epp", "idp", "xdr")),
        "name": d.title.replace(" ", ""), "display_name": d.title, "severity": (10, 30, 50, 70, 90)[d.severity], "severity_name": _LEVELS[d.severity].title(),
        "timestamp": _at(v), "status": "new", "device": {"hostname": v["host"], "platform_name": v.rng.choice(("Windows", "Mac", "Linux"))}, "user_name": v["user"],
    }  # fmt: skip
    _fill_bag(alert, d.fields, v.rng)
    return alert


def _sentinelone(d: Draft, v: Values) -> dict[str, Json]:
    alert: dict[str, Json] = {
        "id": v._digits(19), "threatInfo": {"threatName": d.title, "classification": v.rng.choice(("Malware", "PUA", "Generic.Heuristic")), "analystVerdict": "undefined", "incidentStatus": "unresolved", "createdAt": _at(v)},
        "agentRealtimeInfo": {"agentComputerName": v["host"], "siteName": v.rng.choice(("HQ", "Remote", "Plant")), "groupName": "Default"}, "agentDetectionInfo": {"agentIpV4": v["ip_int"]}, "indicators": [],
    }  # fmt: skip
    for name, value in d.fields:
        place = v.rng.random()
        if place < 0.2:
            alert["indicators"].append({"category": "General", "description": f"{name}: {value}"})
        else:
            _fill_bag(alert["threatInfo" if place < 0.7 else "agentRealtimeInfo"], [(name, value)], v.rng)
    return alert


def _elastic(d: Draft, v: Values) -> dict[str, Json]:
    alert = {
        "@timestamp": _at(v), "kibana.alert.uuid": v._hex(40), "kibana.alert.rule.name": d.title, "kibana.alert.severity": _LEVELS[max(1, d.severity)], "kibana.alert.risk_score": (5, 21, 47, 73, 99)[d.severity],
        "event": {"kind": "signal", "dataset": "endpoint.events"}, "host": {"name": v["linux_host"], "ip": [v["ip_int"]]}, "user": {"name": v["user"]},
    }  # fmt: skip
    _fill_bag(alert, d.fields, v.rng)
    return alert


def _wazuh(d: Draft, v: Values) -> dict[str, Json]:
    data: dict[str, Json] = {}
    _fill_bag(data, d.fields, v.rng)
    return {
        "timestamp": _at(v), "id": f"{v._digits(10)}.{v._digits(6)}", "rule": {"id": v._digits(6), "level": (2, 4, 7, 10, 13)[d.severity], "description": d.title, "groups": ["ossec"]},
        "agent": {"id": v._digits(3), "name": v["linux_host"], "ip": v["ip_int"]}, "manager": {"name": "wz-01"}, "decoder": {"name": "json"}, "location": v.rng.choice(("syscheck", "journald", "/var/log/auth.log")), "data": data,
    }  # fmt: skip


def _splunk(d: Draft, v: Values) -> dict[str, Json]:
    alert = {
        "event_id": f"{v['guid'].upper()}@@notable@@{v._hex(32)}", "status": "1", "owner": "unassigned", "search_name": f"Threat - {d.title} - Rule", "rule_title": d.title,
        "urgency": _LEVELS[d.severity], "severity": _LEVELS[d.severity], "security_domain": v.rng.choice(("endpoint", "network", "identity", "access")), "_time": _at(v), "src": v["ip_int"], "user": v["user"],
    }  # fmt: skip
    _fill_bag(alert, [(name.replace(".", "_"), str(value)) for name, value in d.fields], v.rng)
    return alert


def _okta(d: Draft, v: Values) -> dict[str, Json]:
    debug: dict[str, Json] = {}
    _fill_bag(debug, d.fields, v.rng)
    return {
        "uuid": v["guid"], "published": _at(v), "eventType": v.rng.choice(("user.session.start", "user.authentication.auth_via_mfa", "security.threat.detected", "policy.evaluate_sign_on")), "severity": ("INFO", "INFO", "WARN", "WARN", "ERROR")[d.severity],
        "displayMessage": d.title, "actor": {"type": "User", "alternateId": v["email_user"], "displayName": v["user"]}, "client": {"ipAddress": v["ip_ext"], "geographicalContext": {"country": v["country"]}},
        "outcome": {"result": v.rng.choice(("SUCCESS", "ALLOW", "CHALLENGE"))}, "securityContext": {"asNumber": 64500}, "debugContext": {"debugData": debug},
    }  # fmt: skip


def _proofpoint(d: Draft, v: Values) -> dict[str, Json]:
    headers: dict[str, Json] = {}
    alert: dict[str, Json] = {
        "eventType": v.rng.choice(("messagesDelivered", "clicksPermitted")), "GUID": v._hex(24), "QID": v._hex(10), "messageTime": _at(v), "subject": d.title, "sender": v["email_ext"], "recipient": [v["email_user"]],
        "senderIP": v["ip_ext"], "spamScore": v.rng.randrange(100), "phishScore": (5, 30, 55, 80, 98)[d.severity], "malwareScore": 0, "threatsInfoMap": [], "policyRoutes": ["default_inbound"], "headers": headers,
    }  # fmt: skip
    for name, value in d.fields:
        _fill_bag(headers if v.rng.random() < 0.3 else alert, [(name, value)], v.rng)
    return alert


def _guardduty(d: Draft, v: Values) -> dict[str, Json]:
    extra: dict[str, Json] = {}
    _fill_bag(extra, d.fields, v.rng)
    return {
        "schemaVersion": "2.0", "accountId": v["account"], "region": "eu-west-1", "id": v._hex(32), "arn": f"arn:aws:guardduty:eu-west-1:{v['account']}:detector/{v._hex(32)}/finding/{v._hex(32)}",
        "type": v.rng.choice(("Recon:IAMUser/", "UnauthorizedAccess:EC2/", "Discovery:S3/", "Execution:Runtime/")) + d.title.title().replace(" ", "")[:30], "title": d.title, "severity": (1, 2, 5, 7, 8)[d.severity], "createdAt": _at(v),
        "resource": {"resourceType": "AccessKey", "accessKeyDetails": {"accessKeyId": v["key_id"], "userName": v["svc"]}}, "service": {"serviceName": "guardduty", "action": {"actionType": "AWS_API_CALL", "awsApiCallAction": {"remoteIpDetails": {"ipAddressV4": v["ip_ext"]}}}, "additionalInfo": extra},
    }  # fmt: skip


def _asff(d: Draft, v: Values) -> dict[str, Json]:
    cut = v.rng.randrange(len(d.fields) + 1)
    return {
        "SchemaVersion": "2018-10-08", "Id": f"arn:aws:securityhub:eu-west-1:{v['account']}:finding/{v['guid']}", "ProductArn": "arn:aws:securityhub:eu-west-1::product/aws/config", "GeneratorId": f"gen-{v._digits(4)}", "AwsAccountId": v["account"],
        "Types": ["TTPs/Initial Access"], "CreatedAt": _at(v), "Severity": {"Label": _LEVELS[d.severity].upper()}, "Title": d.title, "Description": d.title,
        "Resources": [{"Type": "AwsS3Bucket", "Id": f"arn:aws:s3:::{v['bucket']}", "Details": dict(d.fields[:cut])}], "Workflow": {"Status": "NEW"}, "RecordState": "ACTIVE", "ProductFields": dict(d.fields[cut:]),
    }  # fmt: skip


def _cloudtrail(d: Draft, v: Values) -> dict[str, Json]:
    parameters: dict[str, Json] = {}
    _fill_bag(parameters, d.fields, v.rng)
    return {
        "eventVersion": "1.10", "eventID": v["guid"], "eventTime": _at(v), "eventSource": v.rng.choice(("iam.amazonaws.com", "s3.amazonaws.com", "ec2.amazonaws.com", "cloudtrail.amazonaws.com")), "eventName": d.title.title().replace(" ", "")[:40], "awsRegion": "eu-west-1",
        "sourceIPAddress": v["ip_ext"], "userIdentity": {"type": "AssumedRole", "arn": f"arn:aws:sts::{v['account']}:assumed-role/{v['role']}/{v['user']}", "accountId": v["account"]}, "additionalEventData": parameters,
    }  # fmt: skip


def _gcp(d: Draft, v: Values) -> dict[str, Json]:
    properties: dict[str, Json] = {}
    _fill_bag(properties, d.fields, v.rng)
    return {
        "notificationConfigName": f"organizations/{v._digits(6)}/notificationConfigs/soc", "resource": {"type": "google.cloud.resourcemanager.Project"},
        "finding": {"name": f"organizations/{v._digits(6)}/sources/{v._digits(4)}/findings/{v._hex(32)}", "state": "ACTIVE", "category": d.title, "severity": _LEVELS[d.severity].upper(), "findingClass": "THREAT", "eventTime": _at(v), "resourceName": f"//cloudresourcemanager.googleapis.com/projects/{v['cluster']}", "sourceProperties": properties, "access": {"principalEmail": f"{v['svc']}@{v['domain_org']}", "callerIp": v["ip_ext"]}},
    }  # fmt: skip


def _suricata(d: Draft, v: Values) -> dict[str, Json]:
    alert: dict[str, Json] = {
        "timestamp": v.now.strftime("%Y-%m-%dT%H:%M:%S.%f+0000"), "flow_id": int(v._digits(15)), "in_iface": "eth0", "event_type": "alert", "src_ip": v["ip_int"], "src_port": int(v["port_high"]), "dest_ip": v["ip_ext"], "dest_port": int(v["port"]), "proto": "TCP",
        "alert": {"action": "allowed", "gid": 1, "signature_id": int(v._digits(7)), "rev": 2, "signature": d.title, "category": "Potentially Bad Traffic", "severity": (3, 3, 2, 1, 1)[d.severity]},
    }  # fmt: skip
    _fill_bag(alert, d.fields, v.rng)
    return alert


def _zeek(d: Draft, v: Values) -> dict[str, Json]:
    return {
        "ts": _at(v), "uid": "C" + v._hex(17), "id.orig_h": v["ip_int"], "id.orig_p": int(v["port_high"]), "id.resp_h": v["ip_ext"], "id.resp_p": int(v["port"]), "proto": "tcp", "note": f"Custom::{d.title.title().replace(' ', '_')[:40]}",
        "msg": d.title, "src": v["ip_int"], "dst": v["ip_ext"], "actions": ["Notice::ACTION_LOG"], "email_body_sections": [f"{name}: {value}" for name, value in d.fields],
    }  # fmt: skip


def _paloalto(d: Draft, v: Values) -> dict[str, Json]:
    alert = {
        "LogType": "THREAT", "VendorName": "Palo Alto Networks", "DeviceSN": v._digits(11), "SequenceNo": v._digits(16), "Subtype": v.rng.choice(("spyware", "vulnerability", "url", "wildfire")), "TimeGenerated": _at(v), "Severity": _LEVELS[d.severity].title(),
        "ThreatName": d.title, "ThreatID": v._digits(6), "Action": v.rng.choice(("alert", "allow", "reset-both")), "Application": v.rng.choice(("web-browsing", "ssl", "dns", "ms-rdp")), "SourceAddress": v["ip_int"], "DestinationAddress": v["ip_ext"], "DestinationPort": int(v["port"]),
    }  # fmt: skip
    _fill_bag(
        alert,
        [
            ("".join(p[:1].upper() + p[1:] for p in name.replace(".", "_").split("_")), value)
            for name, value in d.fields
        ],
        v.rng,
    )
    return alert


def _falco(d: Draft, v: Values) -> dict[str, Json]:
    return {
        "uuid": v["guid"], "rule": d.title, "priority": ("Informational", "Notice", "Warning", "Error", "Critical")[d.severity], "time": v.now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "hostname": v["linux_host"], "source": v.rng.choice(("syscall", "k8s_audit")),
        "tags": ["container"], "output": d.title, "output_fields": {"k8s.ns.name": v["namespace"], "k8s.pod.name": v["pod"], **dict(d.fields)},
    }  # fmt: skip


def _github(d: Draft, v: Values) -> dict[str, Json]:
    stamp = int(v.now.timestamp() * 1000)
    alert = {"@timestamp": stamp, "_document_id": v._hex(32), "action": d.title.lower().replace(" ", "_")[:40], "actor": v["user"], "org": v["org"].lower(), "repo": v["repo"], "created_at": stamp, "operation_type": "create"}  # fmt: skip
    _fill_bag(alert, d.fields, v.rng)
    return alert


def _ocsf(d: Draft, v: Values) -> dict[str, Json]:
    cut = v.rng.randrange(len(d.fields) + 1)
    evidence: dict[str, Json] = {}
    unmapped: dict[str, Json] = {}
    _fill_bag(evidence, d.fields[:cut], v.rng)
    _fill_bag(unmapped, d.fields[cut:], v.rng)
    return {
        "class_uid": 2004, "class_name": "Detection Finding", "category_uid": 2, "activity_id": 1, "type_uid": 200401, "severity_id": d.severity + 1, "severity": _LEVELS[d.severity].title(), "time": int(v.now.timestamp() * 1000),
        "metadata": {"version": "1.4.0", "product": {"name": v.rng.choice(("Sentry", "BuildGuard", "EdgeWatch", "CloudLens"))}}, "finding_info": {"uid": v["guid"], "title": d.title}, "evidences": [evidence], "resources": [{"type": "host", "name": v["server"]}], "unmapped": unmapped,
    }  # fmt: skip


def _windows(d: Draft, v: Values) -> dict[str, Json]:
    data = {"".join(p[:1].upper() + p[1:] for p in name.split(".")[-1].split("_")): value for name, value in d.fields}
    system = {"Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}}, "EventID": v.rng.choice((1, 3, 7, 10, 11, 13, 22, 4624, 4688, 7045)), "TimeCreated": {"#attributes": {"SystemTime": _at(v)}}, "Channel": "Microsoft-Windows-Sysmon/Operational", "Computer": v["host"]}  # fmt: skip
    return {"Event": {"System": system, "EventData": {"RuleName": d.title, **data}}}


def _webhook(d: Draft, v: Values) -> dict[str, Json]:
    """A product nobody knows: invented section names, so that shapes are not learnt by heart."""
    sections = v.rng.sample(
        ["details", "context", "observed", "activity", "asset", "sensor", "enrichment", "info", "extra", "subject"], k=3
    )
    alert: dict[str, Json] = {v.rng.choice(("event", "type", "alert_type", "title", "name")): d.title, v.rng.choice(("event_id", "id", "ref")): f"x-{v._digits(8)}", v.rng.choice(("sent_at", "time", "when")): _at(v), v.rng.choice(("priority", "severity", "level")): _LEVELS[d.severity]}  # fmt: skip
    for name, value in d.fields:
        section = v.rng.choice([*sections, ""])
        bag = alert.setdefault(section, {}) if section else alert
        # A field may have taken the section's name already.
        _fill_bag(bag if isinstance(bag, dict) else alert, [(name, value)], v.rng)
    return alert


RENDERERS: dict[str, Callable[[Draft, Values], dict[str, Json]]] = {
    "defender_xdr": _defender, "sentinel": _sentinel, "crowdstrike": _crowdstrike, "sentinelone": _sentinelone, "elastic_ecs": _elastic,
    "wazuh": _wazuh, "splunk_es": _splunk, "okta": _okta, "proofpoint_tap": _proofpoint, "guardduty": _guardduty, "securityhub_asff": _asff,
    "cloudtrail": _cloudtrail, "gcp_scc": _gcp, "suricata_eve": _suricata, "zeek_notice": _zeek, "paloalto_threat": _paloalto, "falco": _falco,
    "github_audit": _github, "ocsf": _ocsf, "windows_event": _windows, "webhook": _webhook,
}  # fmt: skip


def render(product: str, draft: Draft, values: Values) -> dict[str, Json]:
    """The draft as this product would send it. Raises KeyError for a product without a renderer."""
    return RENDERERS[product](draft, values)
