"""Settings of the section `[accounts.quarantine]`."""

from __future__ import annotations

from pydantic import Field

from gatepost.config import BackendAddress, Duration, FreshSecretPath, Section


class QuarantineSettings(Section):
    """The holders of mail in quarantine, which administrators look at and release."""

    holders: tuple[BackendAddress, ...] = Field(
        default=(),
        max_length=64,
        description="The addresses of all holders: `delivery.quarantine.listen`, and that of "
        "`gatepost hold-queue`, such as `unix:/run/gatepost/quarantine` or "
        "`inet:10029@gatepost-holders`. All addresses that a host name has are asked, so a "
        "headless Service stands for all pods.",
    )
    token_file: FreshSecretPath | None = Field(
        default=None,
        description="File with the token that the holders expect. It is read for each request.",
    )
    timeout: Duration = Field(
        default=8.0,
        gt=0,
        le=60,
        description="How long a holder may take to show or to delete a mail. One that does not "
        "answer is named as missing, and the mail of the others is shown.",
    )
    release_timeout: Duration = Field(
        default=60.0,
        gt=0,
        le=600,
        description="How long a release may take, in which mail stores take the mail. After that, "
        "the holder goes on by itself.",
    )
