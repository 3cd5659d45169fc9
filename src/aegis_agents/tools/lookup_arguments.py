"""What the look-ups take: closed, typed and bounded, so that a model's odd call ends in a clear error."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

K = Annotated[int, Field(ge=1, le=20, description="How many results to return")]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class TextArguments(_Arguments):
    """A description in words, and how many results."""

    text: str = Field(min_length=1, max_length=4000, description="What to look for, in words or by id")
    k: K = 5


class TechniqueArguments(_Arguments):
    """An ATT&CK technique id."""

    technique: str = Field(pattern=r"(?i)^T\d{4}(\.\d{3})?$", description="ATT&CK id such as T1059 or T1059.001")


class CveArguments(_Arguments):
    """A CVE id."""

    cve: str = Field(pattern=r"(?i)^CVE-\d{4}-\d{4,12}$", description="CVE id such as CVE-2021-44228")


class IndicatorArguments(_Arguments):
    """An address, network, domain, URL, e-mail address or hash, as it stands in a log or defanged."""

    value: str = Field(
        min_length=3, max_length=2048,
        description="IP address, network, domain, URL, e-mail address, MD5, SHA-1 or SHA-256; evil[.]example is taken",
    )  # fmt: skip


class SimilarArguments(_Arguments):
    """Either a description of an incident or the id of a confirmed one."""

    text: str | None = Field(default=None, min_length=1, max_length=4000, description="The incident in words")
    case_id: str | None = Field(default=None, min_length=1, max_length=200, description="Id of a confirmed case")
    k: K = 5

    @model_validator(mode="after")
    def _one(self) -> SimilarArguments:
        if (self.text is None) == (self.case_id is None):
            raise ValueError("give either text or case_id")
        return self
