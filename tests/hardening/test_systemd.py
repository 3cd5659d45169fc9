"""The service files: what they forbid is there, systemd understands it, and Aegis runs under what can be tried here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNITS = sorted((Path(__file__).parents[2] / "deploy" / "systemd").glob("*.service"))
REQUIRED = {
    "NoNewPrivileges": "yes", "DynamicUser": "yes", "CapabilityBoundingSet": "", "AmbientCapabilities": "",
    "ProtectSystem": "strict", "ProtectHome": "yes", "ProtectProc": "invisible", "ProtectClock": "yes", "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes", "ProtectKernelModules": "yes", "ProtectKernelTunables": "yes", "ProtectControlGroups": "yes",
    "PrivateDevices": "yes", "PrivateTmp": "yes", "PrivateUsers": "yes", "DevicePolicy": "closed", "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes", "RestrictNamespaces": "yes", "RestrictRealtime": "yes", "RestrictSUIDSGID": "yes",
    "SystemCallArchitectures": "native", "UMask": "0077", "IPAddressDeny": "any", "IPAddressAllow": "localhost",
    "SocketBindDeny": "any", "LimitCORE": "0", "KeyringMode": "private",
}  # fmt: skip
EXPOSURE = 1.5
"""Most that `systemd-analyze security` may say, of 10."""


def values(unit: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.read_text("utf-8").splitlines():
        if re.match(r"[A-Z]\w*=", line):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_there_is_one_for_each_service() -> None:
    assert [unit.stem for unit in UNITS] == ["aegis-monitor", "aegis-serve", "aegis-worker"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_what_has_to_be_there_is(unit: Path) -> None:
    found = values(unit)
    assert {key: found.get(key) for key in REQUIRED} == {key: [value] for key, value in REQUIRED.items()}
    assert found["SystemCallFilter"][0] == "@system-service"
    assert "@privileged" in found["SystemCallFilter"][1]
    assert "AF_PACKET" not in found["RestrictAddressFamilies"][0]
    assert any(value.startswith("aegis_database:") for value in found["LoadCredential"])
    assert "3" in found["RestartPreventExitStatus"][0].split()
    assert not re.search(r"(?i)(token|password|secret|key)=\S", " ".join(found["Environment"] + found["ExecStart"]))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_understands_it_and_finds_little_exposed(unit: Path, tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed (apt-get install systemd): the list above alone was checked")
    # The program of the unit is not installed here; everything else is as it ships.
    tried = tmp_path / unit.name
    tried.write_text(unit.read_text("utf-8").replace("/opt/aegis/.venv/bin/aegis", "/bin/true"))
    checked = subprocess.run([program, "verify", str(tried)], capture_output=True, text=True, timeout=60)
    if checked.returncode and "Failed to" in checked.stderr and "bus" in checked.stderr:
        pytest.skip(f"systemd-analyze can't run here: {checked.stderr.strip()[:200]}")
    assert (checked.returncode, checked.stderr) == (0, "")
    rated = subprocess.run(
        [program, "security", "--offline=true", str(tried)], capture_output=True, text=True, timeout=60
    )
    level = re.search(r"exposure level for \S+: ([0-9.]+)", rated.stdout)
    if level is None:
        pytest.skip(f"this systemd-analyze rates no files: {rated.stderr.strip()[:200]}")
    assert float(level[1]) <= EXPOSURE


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_the_command_of_each_exists(unit: Path) -> None:
    """ExecStart names a module of the command line and options that it has."""
    words = values(unit)["ExecStart"][0].split()[1:]
    module = Path(__file__).parents[2] / "src" / "aegis_agents" / "cli" / f"{words[0]}.py"
    assert module.is_file()
    text = module.read_text("utf-8")
    for option in (word for word in words if word.startswith("--") and word != "--settings"):
        assert f'"{option}"' in text


def test_aegis_decides_without_memory_that_is_writable_and_executable(built_home: Path) -> None:
    """MemoryDenyWriteExecute as the kernel has it (PR_SET_MDWE, Linux 6.3): model, gate, ledger and its signature work."""
    code = f"""
import ctypes, mmap, sys, warnings
warnings.simplefilter("ignore")
if not sys.platform.startswith("linux") or ctypes.CDLL(None).prctl(65, 1, 0, 0, 0): print("no"); raise SystemExit
try: mmap.mmap(-1, 4096, prot=7); print("not in force"); raise SystemExit
except OSError: pass
from aegis_agents import Aegis
with Aegis(home={str(built_home)!r}) as aegis:
    print(aegis.investigate({{"title": "a"}}).verdict, bool(aegis.store.checkpoint()), aegis.store.verify().entries > 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    if done.stdout.strip() == "no":
        pytest.skip("this kernel has no PR_SET_MDWE (Linux 6.3)")
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[1:] == ["True", "True"]
