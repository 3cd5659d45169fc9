"""What agents may use. Read: look-ups in intelligence. Write: connectors, all behind the one write path.

Read in this order: connectors.protocol, write_path, connectors.assign, then one system a module.
"""

from aegis_agents.tools.connectors import Connector, NftablesConnector, OutboxConnector, WebhookConnector, assign
from aegis_agents.tools.write_path import WritePath

__all__ = ["Connector", "NftablesConnector", "OutboxConnector", "WebhookConnector", "WritePath", "assign"]
