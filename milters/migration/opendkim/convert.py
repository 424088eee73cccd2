"""Converter of an opendkim configuration to a gatepost.toml, with the differences as findings."""

from dataclasses import dataclass
from pathlib import Path

from milters.keys.tables.errors import OpendkimError, Place
from milters.migration.opendkim.configuration import read_configuration, unknown_options
from milters.migration.opendkim.draft import Draft, MigrationFinding, MigrationLevel
from milters.migration.opendkim.dropin import drop_in
from milters.migration.opendkim.files import Files
from milters.migration.opendkim.keys import convert_keys
from milters.migration.opendkim.options import KNOWN, Fate
from milters.migration.opendkim.service import SERVICE_RULES
from milters.migration.opendkim.signing import SIGNING_RULES


@dataclass(frozen=True, slots=True)
class Conversion:
    """The text of a gatepost.toml, and the findings, the most important first."""

    toml: str
    findings: tuple[MigrationFinding, ...]
    drop_in: str = ""
    """The drop-in that lets the milter's unit run as opendkim's user; empty if that is unknown."""

    @property
    def has_errors(self) -> bool:
        """True if an administrator must decide something before mail is signed as before."""
        return any(finding.level is MigrationLevel.ERROR for finding in self.findings)


def convert(path: Path, files: Files | None = None) -> Conversion:
    """Read opendkim.conf and the files that it names. Raises `OpendkimError` if it is invalid."""
    files = files or Files()
    conf = read_configuration(path, files.read)
    draft = Draft(conf, files)
    for unknown, meant in unknown_options(conf):
        hint = f"; is it {meant}?" if meant else ""
        draft.find(
            MigrationLevel.ERROR,
            unknown.place,
            unknown.name,
            f"opendkim 2.11 knows no such option{hint}",
        )
    _mode(draft)
    for names, rule in {**SERVICE_RULES, **SIGNING_RULES}.items():
        option = conf.get(*names.split())
        if option is not None:
            try:
                rule(draft, option)
            except OpendkimError as error:
                draft.find(MigrationLevel.ERROR, error.place, option.name, error.text)
    if "s" not in _mode_of(draft):
        # mail through these services would be signed
        draft.tables.get("milters.sign", {}).pop("daemon_names", None)
    convert_keys(draft)
    _tell_the_rest(draft)
    findings = tuple(sorted(draft.findings, key=_importance))
    return Conversion(draft.to_toml(), findings, drop_in(conf))


def _importance(finding: MigrationFinding) -> tuple[int, str, int]:
    return list(MigrationLevel).index(finding.level), finding.place.file, finding.place.line


def _mode_of(draft: Draft) -> str:
    return draft.conf.value("Mode", default="sv").lower()


def _mode(draft: Draft) -> None:
    option = draft.conf.get("Mode")
    place = option.place if option else Place(str(draft.conf.path))
    mode = _mode_of(draft)
    if not mode or set(mode) - {"s", "v"}:
        draft.find(MigrationLevel.ERROR, place, "Mode", f"{mode[:40]!r} must consist of s and v")
    if "v" not in mode:
        for check in ("dkim", "spf", "dmarc", "arc", "iprev"):
            draft.set("milters.verify", check, False, place)
        return
    draft.set("milters.policy", "preset", "report", place)
    draft.find(
        MigrationLevel.NOTE,
        place,
        "Mode",
        'SPF, DMARC and ARC are checked as well; preset = "report" only writes '
        "Authentication-Results, as opendkim did: remove it to act on DMARC failures",
    )
    if "s" not in mode:
        draft.set("milters.sign", "authenticated", False, place)
        draft.set("milters.sign", "internal", False, place)


def _tell_the_rest(draft: Draft) -> None:
    for option in draft.conf.options:
        known = KNOWN.get(option.name.lower())
        if known is None or known.fate is Fate.MAPPED:
            continue
        if known.is_boolean and not option.boolean:
            continue  # not asked for
        level, word = _TOLD[known.fate]
        draft.find(level, option.place, known.name, f"{word}: {known.why}")


_TOLD = {
    Fate.UNNEEDED: (MigrationLevel.NOTE, "not needed"),
    Fate.UNSUPPORTED: (MigrationLevel.WARNING, "not supported"),
    Fate.UNDECIDED: (MigrationLevel.ERROR, "not supported"),
}
