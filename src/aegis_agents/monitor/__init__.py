"""Watching the model and its surroundings: drift, agreement, calibration, canaries, honeytokens, probing.

Read in this order: watch (the monitor), reading and state (what it knows), then one test a module.
"""

from aegis_agents.monitor.falling import fall_back, fallen, resume
from aegis_agents.monitor.status import Status, status
from aegis_agents.monitor.ticks import MonitorTick, ticks
from aegis_agents.monitor.watch import Alarm, Monitor

__all__ = ["Alarm", "Monitor", "MonitorTick", "Status", "fall_back", "fallen", "resume", "status", "ticks"]
