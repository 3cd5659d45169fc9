"""Personal data that no ticket needs: identity numbers, dates of birth, documents, patients' numbers.

Numbers with a check digit are recognised by it; those without one only where a label stands before them, since
nine digits alone may be anything. Names, e-mail addresses, internet addresses and telephone numbers stay: a
responder has to know whom an alert is about, and which number was added for a second factor.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple


class PersonalKind(NamedTuple):
    """A kind of personal data: its name, where it may stand, and the check that tells it from other numbers.

    Where the pattern has a group `secret`, that part alone is the datum, and the rest its label.
    """

    name: str
    pattern: re.Pattern[str]
    valid: Callable[[str], bool] = lambda text: True


# "[0-9]" and never "\d" below, which takes the digits of every script: the checks know ten of them.


def _digits(text: str) -> list[int]:
    return [int(char) for char in text if char.isdigit()]


def _dni(text: str) -> bool:
    """Spain, DNI and NIE: the letter is the number modulo 23."""
    number = text.upper().replace("-", "").translate(str.maketrans("XYZ", "012", "")) if text[0] in "XYZxyz" else text
    plain = number.upper().replace("-", "")
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(plain[:-1]) % 23] == plain[-1]


def _nir(text: str) -> bool:
    """France, NIR: the key completes the number to a multiple of 97; Corsica's 2A and 2B count as 19 and 18."""
    plain = re.sub(r"\s", "", text).upper().replace("2A", "19").replace("2B", "18")
    return 97 - int(plain[:13]) % 97 == int(plain[13:])


_ODD: Final = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10,
    22, 25, 24, 23,
), strict=True))  # fmt: skip


def _codice_fiscale(text: str) -> bool:
    """Italy, codice fiscale: the last letter is a sum over odd and even places modulo 26."""
    plain = text.upper()
    even = sum(int(char) if char.isdigit() else ord(char) - ord("A") for char in plain[1:15:2])
    return chr(ord("A") + (sum(_ODD[char] for char in plain[0:15:2]) + even) % 26) == plain[15]


def _ahv(text: str) -> bool:
    """Switzerland, AHV number: the check digit of EAN-13."""
    digits = _digits(text)
    return sum(d * (3 if place % 2 else 1) for place, d in enumerate(digits)) % 10 == 0


def _cpf(text: str) -> bool:
    """Brazil, CPF: two check digits modulo 11."""
    digits = _digits(text)
    for length in (9, 10):
        total = sum(d * (length + 1 - place) for place, d in enumerate(digits[:length]))
        if total * 10 % 11 % 10 != digits[length]:
            return False
    return len(set(digits)) > 1


_MONTHS = r"jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz]"
_DATE = rf"(?:[0-9]{{4}}[-/.][0-9]{{1,2}}[-/.][0-9]{{1,2}}|[0-9]{{1,2}}[-/. ]{{1,2}}(?:[0-9]{{1,2}}|(?:{_MONTHS})\w{{0,6}})[-/. ]{{1,2}}[0-9]{{2,4}})"
_GAP = r"[\"']?\s{0,3}(?:(?:no|nr|num|number|nummer|id)\b\.?)?[\"']?\s{0,2}[:=#]?\s{0,3}[\"']?"

PERSONAL: Final = (
    PersonalKind("identity number", re.compile(r"\b(?:[0-9]{8}|[XYZxyz]-?[0-9]{7})-?[A-HJ-NP-TV-Z]\b"), _dni),
    PersonalKind("identity number", re.compile(
        r"(?<![0-9])[12] ?[0-9]{2} ?(?:0[1-9]|1[0-2]) ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}(?![0-9])"), _nir),
    PersonalKind("identity number", re.compile(
        r"\b[A-Za-z]{6}[0-9]{2}[A-EHLMPR-Ta-ehlmpr-t][0-9]{2}[A-Za-z][0-9]{3}[A-Za-z]\b"), _codice_fiscale),
    PersonalKind("identity number", re.compile(r"\b756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}\b"), _ahv),
    PersonalKind("identity number", re.compile(r"(?<![0-9.])[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}(?![0-9])"), _cpf),
    PersonalKind("identity number", re.compile(
        r"\b(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]\b")),
    PersonalKind("identity number", re.compile(
        r"(?i)\b(?:ssn|social security|national insurance|nino|steuer-?id(?:entifikationsnummer)?|sozialversicherung(?:snummer)?"
        rf"|svnr|personnummer|pesel|bsn|aadhaar|codice fiscale|tax(?:payer)?[ _-]?id){_GAP}"
        r"(?P<secret>[0-9][0-9 /.-]{6,16}[0-9])(?![0-9])")),
    PersonalKind("date of birth", re.compile(
        r"(?i)\b(?:d\.?o\.?b\.?|date[ _-]?of[ _-]?birth|birth[ _-]?date|birthday|born(?: on)?|geburtsdatum|geb\.|geboren(?: am)?"
        rf"|date de naissance|n[ée]e? le|fecha de nacimiento|data di nascita)(?![a-z]){_GAP}(?P<secret>{_DATE})(?![0-9])")),
    PersonalKind("identity document", re.compile(
        r"(?i)\b(?:passport|reisepass|personalausweis|passeport|pasaporte|driv(?:er|ing)'?s?[ _-]licen[cs]e"
        rf"|identity[ _-]card|id[ _-]card){_GAP}(?P<secret>(?=(?:[A-Z]{{0,9}}[0-9]){{3}})[A-Z0-9]{{6,12}})\b")),
    PersonalKind("patient number", re.compile(
        rf"(?i)\b(?:mrn|medical[ _-]record|patient[ _-]?(?:id|no|number|nummer)|health[ _-]insurance){_GAP}"
        r"(?P<secret>(?=[A-Z-]{0,6}[0-9])[A-Z0-9-]{5,20})(?![\w-])")),
)  # fmt: skip
"""In the order in which they are masked."""
