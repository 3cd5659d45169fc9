"""Writes the export of the app, `make_export.py fn_aegis/fn_aegis/util/data/export.res`: destination, inputs, functions.

Made by hand in the shape of an export of IBM SOAR 51; `resilient-sdk codegen` and `validate` read it. Ids are derived from
names, so that making it again changes nothing that did not change.
"""

import json
import sys
import uuid
from pathlib import Path

NS = uuid.UUID("6f1d7c52-5f0e-4b5a-9a0e-1d2c3b4a5f60")


def uid(name):
    return str(uuid.uuid5(NS, name))


DEST = "fn_aegis"
INPUTS = [
    ("aegis_alert", "textarea", "The native alert as JSON text. Empty: one is made of the incident and its artifacts."),
    ("aegis_format", "text", "The product format; empty: it is detected."),
    ("aegis_shadow", "boolean", "Decide as if live and do nothing."),
    ("aegis_soar_incident_id", "number", "The SOAR incident to make an alert of (incident.id)."),
    ("aegis_action_id", "text", "The id of the action, as the investigation's result has it (act-...)."),
    ("aegis_decision", "select", "What to say of the action."),
    ("aegis_reason", "text", "Why; goes into the ledger."),
    ("aegis_question", "text", "The question, in plain language."),
    ("aegis_incident_id", "text", "Aegis' id of the incident (inc-...)."),
]
REQUIRED = {"aegis_action_id", "aegis_decision", "aegis_question"}
FUNCTIONS = [
    (
        "fn_aegis_investigate",
        "Aegis: Investigate",
        "Judge an alert: verdict with its evidence, and what is to be done. Aegis acts only as far as its policy allows; the rest waits for a person.",
        ["aegis_alert", "aegis_soar_incident_id", "aegis_format", "aegis_shadow"],
    ),
    (
        "fn_aegis_decide_action",
        "Aegis: Decide Action",
        "Approve, deny, undo or keep an action that Aegis proposed.",
        ["aegis_incident_id", "aegis_action_id", "aegis_decision", "aegis_reason"],
    ),
    (
        "fn_aegis_ask",
        "Aegis: Ask",
        "Ask about a case, the queue or threat intelligence; every sentence of the answer cites.",
        ["aegis_question", "aegis_incident_id"],
    ),
]


def field(i, name, kind, tip):
    f = {
        "allow_default_value": False,
        "blank_option": kind == "select" and name not in REQUIRED,
        "calculated": False,
        "changeable": True,
        "chosen": False,
        "default_chosen_by_server": False,
        "deprecated": False,
        "export_key": f"__function/{name}",
        "hide_notification": False,
        "id": 9000 + i,
        "input_type": kind,
        "internal": False,
        "is_tracked": False,
        "name": name,
        "operation_perms": {},
        "operations": [],
        "placeholder": "",
        "prefix": None,
        "read_only": False,
        "rich_text": False,
        "tags": [],
        "templates": [],
        "text": name,
        "tooltip": tip,
        "type_id": 11,
        "uuid": uid("field/" + name),
        "values": [],
    }
    if name in REQUIRED:
        f["required"] = "always"
    if kind == "select":
        f["values"] = [
            {
                "default": False,
                "enabled": True,
                "hidden": False,
                "label": v,
                "properties": None,
                "uuid": uid("value/" + v),
                "value": 9100 + n,
            }
            for n, v in enumerate(["approve", "deny", "undo", "keep"])
        ]
    return f


who = {"display_name": "Aegis", "id": 1, "name": "aegis", "type": "user"}
export = {
    "action_order": [],
    "actions": [],
    "apps": [],
    "automatic_tasks": [],
    "case_matching_profiles": [],
    "export_date": 1795651200000,
    "export_format_version": 2,
    "export_type": None,
    "extensions": [],
    "fields": [field(i, *given) for i, given in enumerate(INPUTS)]
    + [
        {
            "export_key": "incident/internal_customizations_field",
            "id": 0,
            "input_type": "text",
            "internal": True,
            "name": "internal_customizations_field",
            "read_only": True,
            "text": "Customizations Field (internal)",
            "type_id": 0,
            "uuid": "bfeec2d4-3770-11e8-ad39-4a0004044aa1",
        }
    ],
    "functions": [
        {
            "creator": who,
            "description": {"content": about, "format": "text"},
            "destination_handle": DEST,
            "display_name": shown,
            "export_key": name,
            "id": 9200 + i,
            "last_modified_by": who,
            "last_modified_time": 1795651200000,
            "name": name,
            "tags": [],
            "uuid": uid("function/" + name),
            "version": 1,
            "view_items": [
                {
                    "content": uid("field/" + f),
                    "element": "field_uuid",
                    "field_type": "__function",
                    "show_if": None,
                    "show_link_header": False,
                    "step_label": None,
                }
                for f in inputs
            ],
            "workflows": [],
        }
        for i, (name, shown, about, inputs) in enumerate(FUNCTIONS)
    ],
    "geos": None,
    "groups": None,
    "id": 1,
    "inbound_destinations": [],
    "inbound_mailboxes": None,
    "incident_artifact_types": [],
    "incident_types": [
        {
            "create_date": 1795651200000,
            "description": "Customization Packages (internal)",
            "enabled": False,
            "export_key": "Customization Packages (internal)",
            "hidden": False,
            "id": 0,
            "name": "Customization Packages (internal)",
            "parent_id": None,
            "system": False,
            "update_date": 1795651200000,
            "uuid": "bfeec2d4-3770-11e8-ad39-4a0004044aa0",
        }
    ],
    "industries": None,
    "layouts": [],
    "locale": None,
    "message_destinations": [
        {
            "api_keys": [],
            "destination_type": 0,
            "expect_ack": True,
            "export_key": DEST,
            "name": DEST,
            "programmatic_name": DEST,
            "tags": [],
            "users": [],
            "uuid": uid("destination/" + DEST),
        }
    ],
    "notifications": None,
    "overrides": [],
    "phases": [],
    "playbooks": [],
    "regulators": None,
    "roles": [],
    "scripts": [],
    "server_version": {"build_number": 9340, "major": 51, "minor": 0, "version": "51.0.0.0.9340"},
    "tags": [],
    "task_order": [],
    "timeframes": None,
    "types": [],
    "workflows": [],
    "workspaces": [],
}
Path(sys.argv[1]).write_text(json.dumps(export, indent=2) + "\n", "utf-8")
