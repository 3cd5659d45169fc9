"""What an injection wants, as patterns: one list an intent.

A strong pattern is a sign by itself; weak ones count when two different intents
meet in one text. All repetitions are bounded, so that a hostile text costs linear
time. Words are general on purpose: how people address machines, order a verdict,
forge a role, a tool call or an approval, ask for prompts and secrets, plant
memory, break out of a format. They are written in lower case and searched in text
that was lowered, which is several times faster than ignoring case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from aegis_agents.records import CATALOGUE

_MODEL = (
    r"(?:a\.?i\.?|llms?|gpts?|chat ?gpt|copilot|claude|gemini|language models?|chat ?bots?"
    r"|a\.?i\.?[ -](?:\w+[ -])?(?:agents?|assistants?|systems?|models?|reviewers?|analysts?|tools?|triage|soc)"
    r"|analyst[ -]ai"
    r"|(?:triage|soc|security|automated|automatic|virtual|machine|detection|response)[ -](?:\w+[ -])?"
    r"(?:assistants?|bots?|reviewers?|models?|classifiers?|copilot))"
)
_LOOSE = rf"(?:{_MODEL}|assistants?|the (?:bot|model|agent|reviewer|classifier)|agents|models)"
_DUTY = (
    r"(?:must(?: not)?|shall|should|have to|has to|need to|needs to|may not|are (?:required|instructed) to|is to"
    r"|may now)"
)
_MENTAL = (
    r"(?:classif|mark|treat|answer|reply|respond|output|print|reveal|repeat|ignore|disregard|conclude|report|rate|score"
    r"|close|set|append|include|execute|call|store|cite|remember|trust|consider|empty|delete|follow|decode|assume"
    r"|skip|approve)"
)
_HARMLESS = (
    r"(?:benign(?:[ _-]?positive)?|false[ _-]?positives?|harmless|not malicious|non-?malicious|no threat|informational"
    r"|clean|legitimate|resolved|ignored?|low(?:est)?|safe|trusted)"
)
_HARMFUL = r"(?:true[ _-]?positives?|malicious|critical|confirmed(?: \w+)? (?:compromise|attack|breach)|compromised)"
_ACTIONS = "|".join(sorted(CATALOGUE))
_OWN = (
    r"(?:(?:your|its|the|full|initial|hidden|exact|entire) ){0,4}(?:system ?(?:prompt|message)s?|(?:initial|hidden"
    r"|developer)"
    r" (?:prompt|instructions?|message)|your (?:\w+ )?(?:prompt|instructions?|rules|tools|memory|context|credentials"
    r"|secrets|configuration|guidelines)|(?:your|its) environment variables|context window|chain of thought)"
)

STRONG: Final[Mapping[str, tuple[str, ...]]] = {
    "addressing a model": (
        rf"\b(?:dear|hey|hello|attention|notice to|notes? (?:to|for)|to|for|instructions? (?:to|for))\b[ :]{{0,3}}"
        rf"(?:any |all |the |every |our |your )?{_MODEL}\b(?=.{{0,12}}[:,;(]|.{{0,80}}\b{_MENTAL})",
        rf"\b(?:note|message|important) (?:to|for) (?:the|any|all) (?:{_LOOSE}|bot)s?\b",
        rf"\b{_MODEL}s?\b[^.\n]{{0,60}}?\b{_DUTY}\b",
        rf"\b{_LOOSE}\b[^.\n]{{0,20}}?\b{_DUTY}\b (?:\w+ ){{0,2}}?{_MENTAL}",
        rf"\bassistants?\b {_DUTY}\b",
        rf"\b{_MODEL}s?\b[^.\n]{{0,30}}:\s{{0,3}}{_MENTAL}",
        rf"<!--\s{{0,5}}(?:{_LOOSE}|bot|system)s?\s{{0,3}}:",
        rf"\bif you(?: are|'re) an? (?:{_MODEL}|assistant|bot|model|automated)\b",
        r"\b(?:when|once|after|before) you (?:read|process|parse|see|analy[sz]e|summari[sz]e|triage|review"
        r"|answer)\b.{0,40}?"
        r"\b(?:call|set|mark|send|post|email|forward|append|include|reveal|ignore|close|also|you must|classify"
        r"|disable)",
        r"\byou are hereby (?:instructed|ordered|required)\b",
    ),
    "commanding a verdict": (
        rf"\b(?:classify|mark|label|rate|flag|score|grade|categori[sz]e|report|treat|resolve|close|tag)\b(?! "
        rf"by).{{0,50}}?"
        rf"\bas (?:an? )?(?:{_HARMLESS}|{_HARMFUL})\b",
        rf"\b(?:set|change|make|lower|raise|output|return|answer|give)\b.{{0,20}}?\b(?:verdict|severity|classification|"
        rf"conclusion|disposition)\b.{{0,15}}?\b(?:{_HARMLESS}|{_HARMFUL})",
        rf"\bverdict\b[\"' ]{{0,3}}(?:=|:|->|is|must be|should be|to)?[\"' ]{{0,3}}(?:{_HARMLESS}|{_HARMFUL})\b",
        r"\bexample \d{1,2}\b.{0,80}?(?:->|=>|:|=).{0,20}?\b(?:benign|malicious|false.positive|true.positive)\b",
        rf"\bthe (?:correct|right|only|final|expected) (?:verdict|answer|classification"
        rf"|label)\b.{{0,12}}?(?:{_HARMLESS}|{_HARMFUL})",
    ),
    "forged role": (
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id)\|?",
        r"\[/?inst\]|<</?sys>>|</?(?:system|assistant|tool_call|function_call|thinking)(?:_prompt)?>",
        r"(?:^|\n)\W{0,6}(?:\[system\]|system(?: (?:note|message|prompt|override|update|instruction))?|assistant"
        r"|developer)\]?"
        r"\s{0,2}:\s{0,3}(?:you|new|ignore|disregard|the user|grant|call|before|from now|cleanup|set|mark|classif"
        r"|sure|this|"
        r"treat|override|always|never|all)\b",
        r"\b(?:end|begin(?:ning)?|start) of (?:document|user input|input|prompt|context|system prompt|data|alert"
        r"|conversation)\b"
        r"\W{2,8}",
        r"\breasoning(?: trace)? ?\(assistant\)",
        r"\bas (?:the|an) (?:ai |security |triage )?assistant, i\b",
        r"\b(?:nota d[ei]l? sistema|note système|nota di sistema|systemhinweis)\b\s{0,2}:",
        r"\bnew (?:system )?(?:instructions?|directives?)\b\W{0,3}(?:supersede|override|replace|:)|\byour (?:new"
        r"|real|actual|true)"
        r" (?:instructions?|task|directive|goal|role)\b",
    ),
    "overriding instructions": (
        r"\b(?:ignore|disregard|forget|override|supersede)s?\b (?:\w+[ ,]{1,2}){0,3}?(?:all|any|your|previous|prior"
        r"|above|"
        r"earlier|preceding|initial|system|developer|these|the)\b (?:\w+ ){0,4}?(?:instructions?|prompts?|rules"
        r"|guidelines|"
        r"directives|programming|instruction sets?)\b",
        r"\b(?:ignore|disregard|forget) (?:everything|all|anything) (?:you|above|before|that came|prior)\b",
        r"\b(?:ignor\w+|vergiss|vergessen sie|missachte\w*)\b (?:\w+,? ){0,4}?(?:anweisung|richtlinie|regel|vorgabe"
        r"|instruktion)\w*",
        r"\b(?:ignor|oubli)(?:e|ez|er)\b (?:\w+ ){0,3}?(?:instructions?|consignes|règles|directives)\b",
        r"\b(?:ignor[ae]|olvid[ae]|dimentic[ah]\w*|ignori)\b (?:\w+ ){0,3}?(?:instrucciones|reglas|istruzioni|regole"
        r"|direttive)\b",
        r"\b(?:vergiss|vergessen sie|oublie[rz]?|olvida|dimentica|esque[cç]a|vergeet|zapomnij|glöm|forget)\b (?:\w+,? ){0,4}?"
        r"(?:alles|tout|todo|tutto|tudo|regeln|règles|consignes|reglas|regole|regras|regels|zasad\w*|regler|rules)\b",
        r"\b(?:ignor(?:e|ar)|desconsidere)\b (?:\w+ ){0,3}?(?:instruções|regras|diretrizes)\b",
        r"\bnegeer\b (?:\w+ ){0,3}?(?:instructies|regels|aanwijzingen|richtlijnen)\b",
        r"\b(?:zignoruj|pomiń)\b (?:\w+ ){0,3}?(?:instrukcj\w*|zasad\w*|polece\w*|wytyczn\w*)",
        r"\bignorera\b (?:\w+ ){0,3}?(?:instruktion\w*|regler\w*|riktlinje\w*)",
        r"(?:игнорируй|проигнорируй|игнорируйте|забудь|забудьте)\b (?:\w+ ){0,3}?(?:инструкци\w*|правил\w*|указани\w*)",
        r"(?:talimat|kural|yönerge)\w*\b (?:\w+ ){0,2}?(?:yok say|unut|görmezden gel|dikkate alma)",
        r"(?:忽略|无视|忘记|忘掉)[^。.\n]{0,14}?(?:指令|指示|规则|提示)|(?:指示|命令|ルール|規則)[^。.\n]{0,8}?(?:無視|忘れ)",
        r"(?:تجاهل|انس|انسى)\b (?:\w+ ){0,2}?(?:التعليمات|تعليمات|قواعد|القواعد|قواعدك|الأوامر)",
        r"(?:निर्देश\S*|नियम\S*) (?:\S+ ){0,2}?(?:अनदेखा|अनदेखी|नज़रअंदाज़|भूल)",
        r"\b(?:cancel|revoke|drop|discard)\b (?:\w+ ){0,2}?(?:your|earlier|previous|prior) (?:\w+ ){0,2}?"
        r"(?:instructions?|directives?|guidelines|orders)\b",
        r"\b(?:your|deine|vos|tus|le tue) (?:rules|regeln|règles|reglas|regole) (?:have|haben|ont|han|sono)\b",
        r"\b(?:neue|nouvelles|nuevas|nuove|novas|nieuwe) (?:system-?)?(?:anweisungen|instructions|instrucciones|istruzioni"
        r"|instruções|instructies)\b\W{0,3}:",
        r"\bwithout (?:any |all )?(?:safety|content|ethical) (?:guidelines|rules|filters?|polic(?:y|ies)|restrictions)\b",
        r"\b(?:ohne|sans|sin|senza|sem) (?:jegliche |aucune? |ninguna? |alcuna? )?(?:einschränkung\w*|einschraenkung\w*"
        r"|restrictions?|restricciones|restrizioni|restrições)\b",
        r"\byou are (?:now|no longer)\b.{0,40}?\b(?:in|an?|the|free|unrestricted|dan)\b.{0,30}?\b(?:mode|restrict"
        r"|unrestricted|"
        r"rules|assistant|dan|free)",
        r"\b(?:you (?:have|had)|pretend you|act as|respond|answer).{0,60}?\b(?:no|without(?: any)?) (?:content )?"
        r"(?:restrictions?|filters?|limits|rules|polic(?:y|ies))\b",
    ),
    "forged tool call": (
        r"[\"'](?:tool|tool_name|tool_calls?|function|function_call|name"
        r"|action)[\"']\s{0,3}:\s{0,3}[\"'\[{][^\n]{0,120}?"
        r"[\"'](?:arguments|args|parameters|input|target)[\"']\s{0,3}:",
        rf"\b(?:tool|function)_call\b.{{0,20}}?\b(?:{_ACTIONS})\b",
        rf"\b(?:call|invoke|run|execute|trigger|perform|use)\b (?:the )?(?:tool |function |action "
        rf")?[\"'`]?(?:{_ACTIONS})\b",
        rf"\baction\s{{0,2}}[=:]\s{{0,2}}[\"']?(?:{_ACTIONS})\b",
        r"\b(?:call|invoke|use)\b (?:the )?[\"'`]?(?:send|delete|post|http|create|update|remove|grant|disable|enable"
        r"|read|write|"
        r"get|exec|run|add)_[a-z_]{2,30}\b[\"'`]? (?:on|to|for|with|and|before|now|at)\b",
    ),
    "forged approval": (
        r"\b(?:execute|proceed|act|continue|run)\b.{0,25}?\bwithout (?:any |further |more |asking |additional )"
        r"{0,2}(?:confirmation|approval|asking|human|review|authori[sz]ation|questions?)",
        r"\bapproval record\b|\bapprover\s{0,2}[=:].{0,80}?\bstatus\s{0,2}[=:]\s{0,2}approved\b",
        r"\b(?:skip|bypass) (?:all |any |the )?(?:safety |approval |policy |security )(?:checks?|gates?"
        r"|confirmations?)\b",
    ),
    "asking for prompt or secrets": (
        rf"\b(?:repeat|print|reveal|show|output|paste|dump|list|leak|tell|display|disclose|include|send|write|quote"
        rf"|summari[sz]e)\b"
        rf".{{0,40}}?\b{_OWN}",
        r"\b(?:paste|post|send|forward|leak|dump|email|exfiltrate)\b.{0,60}?\b(?:open incidents|other "
        r"(?:customers|tenants)"
        r"|from (?:your|the) memory|api keys|credentials)\b.{0,60}?\b(?:to|here|at)\b",
        rf"\b{_LOOSE}\b.{{0,20}}?\b(?:print|reveal|output|disclose)\b.{{0,40}}?\b(?:environment|tokens?|keys?"
        rf"|passwords?)",
        r"\b(?:verrate|zeige|révèle\w*|montre\w*|revel[ae]|rivela|muestra|mostra)\b.{0,30}?\b(?:system-?prompt"
        r"|systemanweisungen"
        r"|instructions système|prompt système|instrucciones del sistema|prompt de[l]? sistema|istruzioni di sistema"
        r"|prompt di sistema)",
        r"\b(?:what are|tell me|give me|show me|list|rassemble|collect)\b.{0,30}?\b(?:your (?:hidden|exact|secret|original|initial)"
        r" (?:\w+ )?(?:instructions?|prompt|rules)|the (?:exact |full )?instructions you (?:were|have been) given)",
        r"\b(?:operating|exact|full|initial) instructions you (?:were|have been) given\b",
        r"\bwords? (?:above|before)\b.{0,15}?\bstarting with\b|\bword for word\b.{0,40}?\b(?:prompt|instructions)\b",
    ),
    "planting memory": (
        r"\b(?:remember|note|store|save|persist|keep)\b.{0,20}?\bfor (?:all |any |every )(?:future|later|coming"
        r"|following) "
        r"(?:alerts?|incidents?|cases?|sessions?|tasks?|decisions?|analys[ei]s)",
        r"\b(?:to|in|into) your (?:long[- ]term |permanent |persistent )?memory\b",
        r"\b(?:update|change|amend|edit|rewrite|adjust) your (?:\w+ )?(?:playbooks?|memory|rules|instructions"
        r"|baseline|policy|knowledge)\b",
        r"\b(?:add|put|place|include)\b.{0,60}?\b(?:on|to|in|into) (?:the|your|a) (?:permanent |global )?(?:allow"
        r"|white|safe|trust)[- ]?list",
        r"\bis (?:on|part of) the permanent (?:allow|white|safe|trust)[- ]?list\b",
        r"\b(?:close|suppress|ignore|dismiss) (?:all )?(?:alerts|incidents|cases|detections) (?:from|for|of"
        r"|by)\b.{0,60}?"
        r"\b(?:permanently|forever|automatically|from now on)\b",
    ),
    "breaking out of a format": (
        r"^[^{\[]{0,400}?[\"']\s{0,3}[}\]]{1,4}\s{0,3},\s{0,3}[{\[]?\s{0,3}[\"']\w{2,30}[\"']\s{0,3}:",
        r"\b(?:reply|answer|respond|output|write)\b (?:from here on |from now on |only |always ){1,2}(?:in|as|with)\b",
        r"[\"']\w+[\"']\s{0,2}:\s{0,2}[\"'][^\"']{0,30}\b(?:ignore"
        r"|disregard)\b[^\"']{0,20}[\"'].{0,200}?\bauthoritative\b",
    ),
    "hiding evidence": (
        r"\b(?:leave|keep) (?:\w+ ){1,4}?(?:out of|from) your (?:\w+ )?(?:summary|report|verdict|rationale|assessment)\b",
        rf"\b(?:{_LOOSE}|you)\b.{{0,20}}?\b(?:may|must|should|do|shall|can) ?not\b (?:\w+ ){{0,3}}?(?:store|cite"
        rf"|mention|report|log|use|"
        rf"show|include)\b",
        r"\btreat (?:the |these |all |this )?(?:fields?|values?|evidence) (?:\w+ )?as (?:empty|missing|deprecated|null)\b",
        r"\b(?:decode|translate|decrypt)\b.{0,40}?\b(?:follow|obey|execute it|do (?:exactly )?what it says)\b",
        r"\b(?:include|append|add|insert|mention)\b.{0,60}?\b(?:in|to|into|of) your (?:\w+ )?(?:summary|verdict"
        r"|rationale|assessment"
        r"|review|triage|analysis)\b",
    ),
}

WEAK: Final[Mapping[str, tuple[str, ...]]] = {
    "addressing a model": (rf"\b{_MODEL}\b", r"\bassistants? (?:reading|processing|reviewing)\b"),
    "commanding a verdict": (
        r"\b(?:close|dismiss|auto-?close|suppress|resolve) (?:this|the|all|these)? ?(?:alerts?|incidents?|cases?)\b",
        r"\bdo not (?:open|raise|create|escalate|alert|notify|mention|report|flag)\b",
        r"\bthis (?:\w+ ){0,2}(?:is|was) (?:an? )?(?:approved|authori[sz]ed|sanctioned|scheduled) (?:\w+ )?(?:test"
        r"|exercise|scan)",
    ),
    "forged role": (r"(?:^|[\s#\]])system(?: note| message| update| override)?: [a-z]+ [a-z]+", r"\boverride: "),
    "overriding instructions": (
        r"\bfrom now on\b",
        r"\bdeveloper mode\b",
        r"\bunrestricted\b",
        r"\bsafety (?:rules"
        r"|guidelines)\b",
    ),
    "hiding evidence": (r"\b(?:in|to|from) your (?:response|reply|answer|report|output)\b",),
    "asking for prompt or secrets": (r"\bsystem prompt\b", r"\bapi keys?\b", r"\bverbatim\b", r"\bword for word\b"),
    "forged tool call": (rf"\b(?:{_ACTIONS})\b",),
}


class Pattern(NamedTuple):
    """One compiled pattern and what it is a sign of."""

    intent: str
    regex: re.Pattern[str]


def _compile(table: Mapping[str, tuple[str, ...]]) -> tuple[Pattern, ...]:
    joined = {intent: "|".join(f"(?:{part})" for part in alternatives) for intent, alternatives in table.items()}
    return tuple(Pattern(intent, re.compile(text, re.DOTALL)) for intent, text in joined.items())


STRONG_PATTERNS: Final = _compile(STRONG)
WEAK_PATTERNS: Final = _compile(WEAK)
