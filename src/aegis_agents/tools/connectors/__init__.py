"""Systems that can act, one a module. Only the write path calls them.

`protocol` is what each must do, `registry` the kinds there are, `config` reads which are configured, `assign`
says who is asked. Importing this loads no vendor's package; that waits until a system is used.
"""

from aegis_agents.tools.connectors.assign import assign
from aegis_agents.tools.connectors.nftables import NftablesConnector
from aegis_agents.tools.connectors.outbox import OutboxConnector
from aegis_agents.tools.connectors.protocol import Connector
from aegis_agents.tools.connectors.webhook import WebhookConnector

__all__ = ["Connector", "NftablesConnector", "OutboxConnector", "WebhookConnector", "assign"]
