"""Installs the app, and names its components to resilient-circuits."""

from setuptools import find_packages, setup

setup(
    name="fn_aegis",
    display_name="Aegis Agents for IBM SOAR",
    version="1.0.0",
    license="Apache-2.0",
    author="Aegis Agents",
    author_email="noreply@aegis-agents.invalid",
    url="https://pypi.org/project/aegis-soc-agents/",
    description="Judge alerts with evidence, decide on the actions that wait, and ask about cases.",
    long_description="""Asks an Aegis server of your own to judge an alert or a SOAR incident. \
The answer is a verdict whose every sentence cites facts of the alert or passages of intelligence, and the actions that follow.
<br>- Aegis: Investigate - judges an alert (JSON), or the incident with its artifacts
<br>- Aegis: Decide Action - approves, denies, undoes or keeps an action
<br>- Aegis: Ask - answers questions about a case, the queue or intelligence, with citations""",
    install_requires=["resilient-circuits>=51.0.7.2.0", "httpx~=0.28.1"],
    python_requires=">=3.11",
    packages=find_packages(exclude=["tests", "tests.*"]),
    include_package_data=True,
    platforms="any",
    classifiers=["Programming Language :: Python"],
    entry_points={
        "resilient.circuits.components": [
            "AegisInvestigateFunctionComponent = fn_aegis.components.funct_fn_aegis_investigate:FunctionComponent",
            "AegisDecideActionFunctionComponent = fn_aegis.components.funct_fn_aegis_decide_action:FunctionComponent",
            "AegisAskFunctionComponent = fn_aegis.components.funct_fn_aegis_ask:FunctionComponent",
        ],
        "resilient.circuits.configsection": ["gen_config = fn_aegis.util.config:config_section_data"],
        "resilient.circuits.customize": ["customize = fn_aegis.util.customize:customization_data"],
        "resilient.circuits.selftest": ["selftest = fn_aegis.util.selftest:selftest_function"],
    },
)
