"""Which module reads which kind of stream; each is imported when one is configured."""

from __future__ import annotations

from aegis_agents.errors import StreamError
from aegis_agents.settings_streams import DirectorySettings, FileSettings, KafkaSettings, StreamSettings, SyslogSettings
from aegis_agents.streams.stream import Stream


def make_stream(settings: StreamSettings) -> Stream:
    """The stream of these settings. Raises StreamError where a package that it needs is not installed."""
    if isinstance(settings, FileSettings):
        from aegis_agents.streams.file import FileStream

        return FileStream(settings)
    if isinstance(settings, DirectorySettings):
        from aegis_agents.streams.directory import DirectoryStream

        return DirectoryStream(settings)
    if isinstance(settings, SyslogSettings):
        from aegis_agents.streams.syslog.listener import SyslogStream

        return SyslogStream(settings)
    if isinstance(settings, KafkaSettings):
        _need("confluent_kafka", "kafka", settings.name)
        from aegis_agents.streams.kafka import KafkaStream

        return KafkaStream(settings)
    _need("boto3", "aws", settings.name)
    from aegis_agents.streams.sqs import SqsStream

    return SqsStream(settings)


def _need(package: str, extra: str, name: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise StreamError(f"{name}: {package} is not installed: pip install 'aegis-soc-agents[{extra}]'")
