"""Orders in free words: somebody is told to find something harmless, or to let it be.

Patterns know phrases; an attacker writes new ones. What such a text can't do without is a verb that tells the
reader what to do, and either a harmless outcome or the thing that is to be let be. So kinds of words are looked
for, the verb where an order has it: at the beginning of a sentence, or after "please", "and", "you should".
In other languages than English the words alone are enough, since they stand in few innocent fields.
"""

from __future__ import annotations

import re
from typing import Final

_JUDGE: Final = (
    r"answer|reply|respond|report|conclude|classify|mark|label|rate|grade|choose|pick|select|output|return|say|state|consider"
    r"|regard|treat|assume|confirm|downgrade|lower|declare|deem|call|set|finish|score|flag|accept|decide|find|judge|write"
)
_LET: Final = (
    r"close|dismiss|suppress|ignore|disregard|skip|drop|discard|exclude|leave|archive|forget|stop|end|let|trust|whitelist"
    r"|allow-?list|mute|silence|resolve|do not (?:escalate|report|investigate|open|raise|alert|notify|flag|act|respond)"
    r"|don't (?:escalate|report|investigate|open|raise|alert|notify|flag|act|respond)"
)
_START: Final = r"(?:^|[.;:!?,)\]\n>*#-] ?|\b(?:please|kindly|just|and|then|so|must|should|shall|always|to|simply|you|reader|reviewer|analyst) )"
_HARMLESS: Final = (
    r"benign(?:_positive)?|harmless|innocuous|false[ _-](?:positive|alarm|detection)s?|not (?:malicious|an? (?:attack|threat|incident))"
    r"|non-?malicious|clean|legitimate|normal(?: (?:activity|behaviou?r))?|noise|informational|expected|safe|resolved|trusted|known good"
    r"|no (?:threat|incident|attack|risk|compromise|action)|nothing (?:wrong|happened|to see|malicious)|lowest|allow-?listed|authori[sz]ed"
    r"|unescalated|zero|\b0\b|a test"
)
_OUTCOME: Final = re.compile(rf"(?<![\w-])(?:{_HARMLESS}|nothing)(?![\w-])")
"""Without any of them no pattern in English can match, and most fields have none."""
_CASE: Final = (
    r"alerts?|events?|incidents?|cases?|records?|detections?|findings?|verdicts?|severity|telemetry|entry|entries|triage|analysis"
    r"|investigat\w+|classification|conclusion|escalat\w+|scor(?:e|ing)|sensor|alarms?|tickets?|risk"
)
_READER: Final = (
    r"you|your|yourself|reader|whoever|reviewers?|analysts?|assistants?|models?|classifiers?|triage|a\.?i\.?"
)

_ENGLISH: Final = tuple(
    re.compile(text)
    for text in (
        rf"{_START}(?:{_JUDGE})\b[^.!?\n]{{0,80}}?(?<![\w-])(?:{_HARMLESS})(?![\w-])[^\n]{{0,160}}?\b(?:{_CASE})\b",
        rf"\b(?:{_CASE}|{_READER})\b[^\n]{{0,160}}?{_START}(?:{_JUDGE})\b[^.!?\n]{{0,80}}?(?<![\w-])(?:{_HARMLESS})(?![\w-])",
        rf"{_START}(?:{_JUDGE})\b[^.!?\n]{{0,60}}?\b(?:{_CASE})\b[^.!?\n]{{0,60}}?(?<![\w-])(?:{_HARMLESS})(?![\w-])",
        rf"{_START}(?:{_LET})\b[^.!?\n]{{0,60}}?\b(?:{_CASE})\b[^\n]{{0,120}}?(?<![\w-])(?:{_HARMLESS})(?![\w-])",
        rf"(?<![\w-])(?:{_HARMLESS})(?![\w-])[^\n]{{0,120}}?{_START}(?:{_LET}) (?:\w+ ){{0,3}}?(?:it|this|them|{_CASE})\b",
        rf"\b(?:{_CASE})\b[^\n]{{0,100}}?(?<![\w-])(?:{_HARMLESS})(?![\w-])[^\n]{{0,60}}?{_START}(?:{_LET}|{_JUDGE})\b",
        rf"\b(?:{_READER})\b[^\n]{{0,60}}?\b(?:answer|verdict|conclusion|classification|assessment)\b[^.\n]{{0,30}}?(?:{_HARMLESS})(?![\w-])",
        rf"^(?:{_JUDGE})\b (?:it |this |that )?(?:as |is )?(?:{_HARMLESS})(?![\w-])",
        r"\bclose it(?: out)?\b[^\n]{0,80}?\bnothing\b|\bnothing\b[^\n]{0,80}?\bclose it\b",
    )
)

_OTHER: Final = tuple(
    re.compile(text)
    for text in (
        # German
        r"\b(?:stufe|werte|bewerte|melde|markiere|schließe?|schliesse?|behandle|antworte|ignoriere|betrachte|einstufen|verwerfe?)\b.{0,60}?"
        r"\b(?:harmlos\w*|unbedenklich\w*|fehlalarm\w*|gutartig\w*|ungefährlich\w*|legitim\w*|normal\w*|falsch positiv\w*|keine bedrohung)\b",
        # French
        r"\b(?:consid[eé]re[rz]?|r[eé]ponds|r[eé]pondez|marque[rz]?|classe[rz]?|ferme[rz]?|ignore[rz]|traite[rz]?|signale[rz]?)\b.{0,60}?"
        r"\b(?:b[eé]nin\w*|l[eé]gitime\w*|normal\w*|faux positifs?|fausse alerte|inoffensi\w+|sans danger)\b",
        # Spanish, Portuguese
        r"\b(?:considera|considere|responde|responda|marca|marque|clasifica|classifique|cierra|cierre|feche|ignora|ignore|trata|trate)\b"
        r".{0,60}?\b(?:benign[oa]|leg[ií]tim[oa]|normal|falso positivo|falsa alarma|falso alarme|inofensiv[oa]|segur[oa])\b",
        # Italian
        r"\b(?:considera|rispondi|contrassegna|classifica|chiudi|ignora|tratta|segnala)\b.{0,60}?"
        r"\b(?:benign[oa]|legittim[oa]|normale|falso (?:positivo|allarme)|innocu[oa]|sicur[oa])\b",
        # Dutch
        r"\b(?:beschouw|behandel|markeer|sluit|antwoord|negeer|meld)\b.{0,60}?\b(?:goedaardig|onschuldig|legitiem|normaal|vals alarm|veilig)\b",
        # Polish, Swedish, Turkish
        r"\b(?:uznaj|oznacz|zamknij|odpowiedz|zignoruj|potraktuj)\b.{0,60}?(?:nieszkodliw\w*|fałszyw\w*|bezpieczn\w*|normaln\w*|niegroźn\w*)",
        r"\b(?:betrakta|markera|stäng|svara|ignorera|behandla)\b.{0,60}?\b(?:ofarlig\w*|godartad\w*|normal\w*|falsk\w*|säker\w*|legitim\w*)\b",
        r"(?:zararsız|normal|güvenli|yanlış (?:pozitif|alarm)|meşru)\w*.{0,60}?\b(?:say|kapat|işaretle|yanıtla|kabul et|değerlendir)",
        # Russian
        r"\b(?:считай\w*|отметь\w*|закрой\w*|ответь\w*|игнорируй\w*|классифицируй\w*|признай\w*)\b.{0,60}?"
        r"(?:безопасн\w*|безвредн\w*|ложн\w*|легитимн\w*|нормальн\w*)",
        # Chinese, Japanese
        r"(?:视为|标记|判定|判断|归类|回答|认定|关闭|忽略)[^\n]{0,20}?(?:正常|无害|误报|良性|安全|合法)|(?:正常|无害|误报|良性|安全|合法)[^\n]{0,20}?(?:关闭|忽略|处理)",
        r"(?:正常|無害|誤検知|良性|安全|問題な)[^\n]{0,20}?(?:みな|判定|回答|閉じ|分類|答え|報告|扱)",
        # Arabic, Hindi
        r"(?:اعتبر|صنف|أغلق|أجب|تجاهل|ضع علامة)[^\n]{0,60}?(?:طبيعي|حميد|آمن|كاذب|سليم|غير ضار|مشروع)",
        r"(?:सामान्य|हानिरहित|सुरक्षित|गलत|वैध|सौम्य)[^\n]{0,40}?(?:मान|चिह्नित|बंद|बता|उत्तर)",
    )
)  # fmt: skip


def gives_order(lowered: str) -> bool:
    """Whether a lower-case text tells its reader to find something harmless, or to let it be."""
    if any(pattern.search(lowered) for pattern in _OTHER):
        return True
    return _OUTCOME.search(lowered) is not None and any(pattern.search(lowered) for pattern in _ENGLISH)
