"""Words that mean the same in questions, as one: routing by a few hundred examples can't learn every synonym.

A concept adds to the words of a question and replaces none. Written for Aegis.
"""

from __future__ import annotations

import re

_CONCEPTS = {
    "WHY": r"why|how come|reasons?|rationale|justif\w+|grounds|explain (?:this|the|that|your)|made (?:you|it|aegis)|led (?:you|to)|basis",
    "WHO": r"who|whom|whose|by whom|which (?:person|analyst|people|colleague)|names? of",
    "WHEN": r"when|what time|how long|at which time|date|since when",
    "COUNT": r"how many|number of|sum of|nr of|count|how much|total|share|statistics|stats|figures|numbers|tally|percentage|proportion",
    "APPROVE": r"approv\w*|sign(?:ed|s)? off|sign-?off|go[- ]ahead|greenlit|green[- ]?light\w*|okay(?:ed)?|ok'?d|authori[sz]ed?|authori[sz]ation|said yes|agreed|accept\w*|permission|consent\w*|clear(?:ed)? it",
    "DENY": r"den(?:y|ied|ies)|reject\w*|refus\w*|said no|turned down|declin\w*|veto\w*",
    "REVERT": r"und(?:o|id|one|oing)|revers\w*|roll(?:ed)?[- ]?(?:it |that |this )?back|rollback|revert\w*|way back|tak(?:e|en|ing) (?:it |that |this )?back|took (?:it |that |this )?back|restor\w*|lift(?:ed)?|unblock\w*|unlock\w*|release\w*|re-?enable\w*|reopen\w*|permanent|irrevers\w*|for good|final",
    "VERDICT": r"verdict|conclusion|judg\w+|decision|decided?|classif\w+|assess\w*|rated?|call(?:ed)? (?:it|this)|deem\w*|ruling|outcome of the analysis",
    "EVIDENCE": r"evidence|facts?|proof|prove\w*|support\w*|fields?|clues?|speaks?|weigh\w*|weights?|signals?|attribut\w+",
    "CHANGE": r"chang\w+|flip\w*|tip(?:s|ped|ping)?|differ\w*|other way|counterfactual\w*|fragile|robust|hinge\w*|hangs?|depend\w*|without|missing|had not|hadn't|if (?:not|it|that|we)|swing|sway\w*|overturn\w*|stable",
    "ATTACKV": r"attack|malicious|true positive|bad|evil|breach|intrusion|compromis\w+",
    "HARMLESS": r"benign|false (?:positive|alarm)|harmless|innocent|allowed|dismiss\w*|wrong detection",
    "CLOSE": r"clos(?:e|ed|es|ing)|dismiss\w*|shut (?:it|this)",
    "CASE": r"(?:this|that|the) (?:case|alert|incident|one|event|finding|detection)|the case|here|in (?:it|there)",
    "CASES": r"cases|incidents|alerts|events|detections|findings|attacks|positives|anything|something|everything",
    "WAITING": r"wait\w*|pending|queue\w*|inbox|awaits?|my (?:plate|desk|attention|turn)|to approve|need (?:me|my)|needs (?:me|my)|to decide|todo|to do next|backlog|open for me|for me|outstanding|left for me|look at next|unanswered",
    "TIME": r"today'?s?|yesterday|week|month|years?|hours?|morning|tonight|lately|recent\w*|latest|newest|days?|ago|since|monday|tuesday|wednesday|thursday|friday|saturday|sunday",
    "EXPIRE": r"expir\w*|lifts? itself|timers?|temporary|runs? out|run(?:ning)? out|lapse\w*|end(?:s|ing)? by itself|how long|until when|time limit|countdown",
    "ALONE": r"alone|by (?:your|it)sel(?:f|ves)|on (?:your|its) own|without (?:asking|approval|a person|a human|anybody|us|me)|autonom\w*|unattended|unsupervised|automatically|self-?reliant",
    "EARN": r"earn\w*|promot\w*|missing until|progress|reviews?|campaigns?|how far|stand|until you|yet|unlock\w*|more (?:evidence|trust)",
    "SURE": r"sure|confiden\w+|certain\w*|probabilit\w+|likel(?:y|ihood)|odds|trust|wrong|mistaken|reliab\w+|percent",
    "SIMILAR": r"similar|before|like (?:this|it|that)|alike|resembl\w*|precedents?|repeat|recurr\w*|earlier|past|happened again|look-?alikes?|seen (?:this|it)|previous\w*",
    "INJECT": r"inject\w*|manipulat\w*|trick\w*|talk (?:you|the|it)|instruct\w*|influence\w*|tamper\w*|planted|fool\w*|persua\w+|hidden|prompt|jailbreak\w*|written by|control(?:led)? by|attacker[- ]controlled",
    "VERSION": r"versions?|which model|what model|policy (?:version|in force|was)|snapshot|build|weights file|ruleset",
    "ENTITY": r"hosts?|machines?|accounts?|users?|address(?:es)?|ips?|hashes|hash|domains?|files?|entit\w+|systems?|assets?|actor|involved|affected|touched|scope|hostname|devices?|servers?|endpoints?|computers?",
    "TTP": r"techniques?|ttps?|tactics?|att&?ck|mitre|methods?|tradecraft|tools|malware|software|arsenal|playbook of|modus",
    "GROUP": r"groups?|actors?|apts?|adversar\w+|threat actors?|gangs?|crews?|campaigns?",
    "USES": r"uses?|used|using|employs?|known (?:for|to)|operates?|have|has|relies|rely|favou?rs?|prefers?",
    "DEFINE": r"what(?:'s| is| does| are)|explain|describe|tell me|define|meaning|mean|info(?:rmation)?|details|about|who (?:is|are)",
    "MITIGATE": r"mitigat\w*|contain(?:ed|ment)?|countermeasures?|defen[dcs]\w*|protect\w*|prevent\w*|remediat\w*|fix\w*|respon[ds]\w*|stop\w*|harden\w*|patch\w*|against|playbooks?|handle|deal with|counter",
    "REPUTE": r"malicious|known|reputation|any list|blocklist\w*|listed|reports?|reported|look ?up|check|bad|harmful|feeds?|seen in the wild|threat intel\w*|dangerous|safe",
    "SEARCH": r"find|search|show|list|look for|rules?|sigma|documents?|reports? about|which technique|any",
    "DONE": r"what (?:did|have) (?:you|aegis|we)|was done|were (?:executed|taken|done|performed|carried out)|done|executed|carried out|performed|taken|happened to|status|state of|result of|went through|fail(?:ed|s)?|became|right now|at the moment|currently",
    "ACTNAME": r"isolat\w*|block\w*|disabl\w*|quarantin\w*|reset\w*|kill\w*|revok\w*|cut|lock\w*|watchlist|ticket|snapshot|notif\w*|shut|pull|log .{1,10} out|sinkhole\w*|deactivat\w*|suspend\w*|terminate\w*|ban|contain the|kick\w*|disconnect\w*|unplug\w*|close (?:it|this|the)",
    "PLEASE": r"please|can you|could you|would you|i want|we should|we need|let's|go and|now|i'd like",
    "YES": r"yes|go ahead|do it|approve (?:it|that|this|all|the|the action)|i approve|proceed|confirm|mark|deny|reject|keep|reopen|make it so|carry on|take (?:that|it|this) back|undo (?:it|that|the)|release the|lift the|unblock the|enable the",
    "RULES": r"autonomy|kill switch|policy|policies|tokens?|secret|ledger|log(?:s|ging)?|audit|rights|role|instructions|rules|bound|prompt|approver|key|threshold|guardrails?|permissions?|protection",
    "ALTER": r"scrub|purge|clean up|tamper|raise|lower|turn off|switch off|disable|ignore|delete|erase|wipe|edit|add me|grant|give me|change the|set (?:the|your)|remove|stop|allow yourself|disregard|forget|reveal|print|show me the|override|bypass|rewrite|alter",
    "HELP": r"help|what can (?:you|i)|how do i use|hello|hi|hey|who are you|your functions|capable|abilities",
    "SUMMARY": r"summar\w*|overview|brief\w*|about|happened|going on|tl;?dr|short version|describe|gist|recap|in a nutshell|story",
    "ASKS": r"^(?:is|was|were|are|did|does|do|has|have|had|may|might|will|would|am)|^and (?:is|was|did|has)",
    "WH": r"^(?:and )?(?:what|which|who|whom|whose|when|where|why|how)",
    "SECURITY": r"lsass|kerbero\w+|golden ticket|pass the hash|credential\w*|passwords?|cookies?|persistence|exfiltrat\w+|lateral|privilege|escalation|phish\w*|ransomware|web ?shells?|brute force|spray\w*|scheduled tasks?|registry|powershell|wmi|psexec|dns|tunnel\w*|c2|command and control|beacon\w*|worm|malware|exploit\w*|supply chain|event logs?|sigma|oauth|tokens?|access keys?|usb|vpn|dumping|dump|injection|rootkit|botnet|miner|mining|living off the land|attackers?|adversar\w+|intel|runbooks?|playbooks?|detect\w*|lolbins?|mfa|sso|kubernetes|container|cloud|s3|bucket|dll|macro|backdoor|keylog\w*|spyware|denial of service|ddos",
    "IMPERATIVE": r"^(?:please |now |ok |then |and )?(?:isolate|block|disable|quarantine|reset|kill|revoke|cut|lock|put|open|take|notify|pull|log|sinkhole|close|shut|contain|deactivate|suspend|unplug|ban|terminate|kick|stop|add|raise|inform|get|approve|deny|reject|undo|release|lift|keep|reopen|confirm|accept|mark|enable|unblock|turn|ignore|delete|change|grant|remove|set|give|make|allow|permit|switch|forget|write|tell|play|fix|book|translate|send|show|list|find|search|explain|describe|summari[sz]e)",
    "SELF": r"you|your|yourself|aegis",
    "RUNS": r"in force|right now|currently|at the moment|still (?:blocked|isolated|disabled)",
}  # fmt: skip
_PATTERNS = [(name, re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.I)) for name, pattern in _CONCEPTS.items()]
_KINDS = ("a vulnerability", "a technique", "a group", "a tool", "a software", "a mitigation", "the address", "the domain",
          "the hash", "the url", "the user", "the host", "the case", "the action")  # fmt: skip


def concepts(shape: str) -> list[str]:
    """The concepts of a question in its shape, each once, and the kinds of things that it names."""
    found = [name for name, pattern in _PATTERNS if pattern.search(shape)]
    return found + [f"<{kind}>" for kind in _KINDS if kind in shape]
