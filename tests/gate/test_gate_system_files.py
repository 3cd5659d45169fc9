"""Files of the operating system are shared infrastructure: no hash of one is blocked, none quarantined, alone."""

from __future__ import annotations

import hashlib
import json

import pytest
from gate_cases import NOW

from aegis_agents.gate import AssetRegister
from aegis_agents.gate.system_files import is_system_file
from aegis_agents.records import Incident, Target
from aegis_agents.sources import parse


@pytest.mark.parametrize(
    "path",
    [
        r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe", r"c:/windows/system32/cmd.exe",
        r"\Device\HarddiskVolume3\Windows\SysWOW64\rundll32.exe", r"C:\Windows\explorer.exe",
        r"%SystemRoot%\System32\svchost.exe", r"\SystemRoot\system32\drivers\tcpip.sys", "/usr/bin/python3", "/bin/bash",
        "/usr/lib/systemd/systemd", "/System/Library/CoreServices/Finder.app",
        r"\??\C:\Windows\System32\cmd.exe", r"\\?\C:\Windows\System32\cmd.exe", r"C:\\Windows\\System32\\cmd.exe", "//usr//bin//bash",
        r"C:\Windows\Microsoft.NET\Framework64\v4.0.30319\MSBuild.exe", '"C:\\Windows\\System32\\certutil.exe"',
    ],
)  # fmt: skip
def test_an_operating_systems_file(path: str) -> None:
    assert is_system_file(path)


@pytest.mark.parametrize(
    "path",
    [
        r"C:\Windows\Temp\a.exe", r"C:\Windows\System32\Tasks\updater", r"C:\Users\a\System32\cmd.exe",
        r"C:\Windows\System32\spool\drivers\color\x.dll", r"C:\Windows\System32\..\Temp\a.exe", r"C:\Windows\System32" "\\",
        "/tmp/bash", "/usr/local/bin/tool", "/home/a/usr/bin/x", "/usr/bin/../../tmp/x", "powershell.exe", "",
        r"C:\Program Files\App\app.exe", r"D:\backup\C\Windows\System32\cmd.exe",
    ],
)  # fmt: skip
def test_another_file(path: str) -> None:
    assert not is_system_file(path)


def _made(image: str) -> Incident:
    alert = {
        "rule": {"name": "Suspicious child process"}, "host": {"name": "wks-7"},
        "process": {"executable": image, "hash": {"sha256": hashlib.sha256(b"x").hexdigest()}, "parent": {"executable": r"C:\Windows\explorer.exe"}},
        "@timestamp": "2026-11-01T10:00:00Z", "event": {"kind": "alert", "id": "e1"}, "ecs": {"version": "8.11"},
    }  # fmt: skip
    return parse(json.dumps(alert), format=None, tenant="default")


def _groups(incident: Incident, kind: str) -> frozenset[str]:
    target = next(e for e in incident.entities if e.kind == kind)
    return AssetRegister().look_up(incident, Target(kind=target.kind, value=target.value), NOW).groups


def test_the_hash_of_a_shell_is_shared_infrastructure_and_that_of_malware_with_a_system_parent_is_not() -> None:
    assert "shared_infrastructure" in _groups(_made(r"C:\Windows\System32\cmd.exe"), "hash")
    assert "shared_infrastructure" not in _groups(_made(r"C:\Users\bob\AppData\update.exe"), "hash")


@pytest.mark.parametrize(
    ("image", "protected"),
    [
        ({"fileName": "cmd.exe", "filePath": r"C:\Windows\System32"}, True),
        ({"fileName": "powershell.exe", "filePath": r"C:\Windows\System32\WindowsPowerShell\v1.0"}, True),
        ({"fileName": "explorer.exe", "folderPath": r"C:\Windows"}, True),
        ({"fileName": "update.exe", "filePath": r"C:\Users\bob\AppData"}, False),
    ],
)
def test_a_hash_in_a_list_of_nested_objects_is_told_by_the_path_beside_it(
    image: dict[str, str], protected: bool
) -> None:
    digest = hashlib.sha256(b"y").hexdigest()
    evidence = [
        {"imageFile": {"sha256": digest, **image}, "parentProcessImageFile": {"fileName": "services.exe", "filePath": r"C:\Windows\System32"}},
        {"imageFile": {"fileName": "svchost.exe", "filePath": r"C:\Windows\System32"}},
    ]  # fmt: skip
    alert = {"id": "e2", "title": "Suspicious process", "severity": "high", "evidence": evidence}
    found = _groups(parse(json.dumps(alert), format=None, tenant="default"), "hash")
    assert ("shared_infrastructure" in found) is protected
