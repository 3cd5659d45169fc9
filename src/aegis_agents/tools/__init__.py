"""What agents may use. Read: look-ups in intelligence. Write: connectors, all behind the one write path.

Read in this order: connector (the Protocol), write_path, registry, then one system a module.
"""

from aegis_agents.tools.connector import Connector
from aegis_agents.tools.nftables import NftablesConnector
from aegis_agents.tools.outbox import OutboxConnector
from aegis_agents.tools.registry import assign
from aegis_agents.tools.webhook import WebhookConnector
from aegis_agents.tools.write_path import WritePath

__all__ = ["Connector", "NftablesConnector", "OutboxConnector", "WebhookConnector", "WritePath", "assign"]
