"""The section of app.config that `resilient-circuits config -u` writes."""


def config_section_data() -> str:
    """The default section, to be filled in."""
    return """[fn_aegis]
# Where `aegis serve` runs; https, unless it is this machine.
aegis_url=https://<aegis.example>
# A token of its own for this app: `aegis token add ibm-soar --role analyst` (with --role approver to decide on actions).
aegis_token=<token of `aegis token add`>
# true, or the file of your own certificate authority.
verify=true
# Seconds.
timeout=60
"""
