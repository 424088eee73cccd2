from pathlib import Path

import pytest

from accounts.exchange.document import render
from accounts.exchange.notes import SourceError
from accounts.exchange.sources import SOURCES, read_source
from tests.unit.accounts.exchange.reading import HASH
from tests.unit.accounts.exchange.samples import EVERYTHING

DUMP = f"INSERT INTO mailbox (username, password) VALUES ('anna@example.org', '{HASH}')"  # noqa: S608


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    content = {
        "gatepost": render(EVERYTHING).decode(),
        "csv": f'address,password\nanna@example.org,"{HASH}"\n',
        "postfix/passwd": f"anna@example.org:{HASH}\n",
        "postfix/virtual": "root anna@example.org\n",
        "docker-mailserver/postfix-accounts.cf": f"anna@example.org|{HASH}\n",
        "postfixadmin": DUMP,
        "mailcow": DUMP,
        "mailu": f"user:\n- email: anna@example.org\n  password: '{HASH}'\n",
        "couchmail": f'[{{"_id": "anna@example.org", "password": "{HASH}"}}]',
        "docker-dovecot-rspamd/users/anna@example.org/passwd": HASH,
    }
    for name, text in content.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize("source", SOURCES)
def test_each_source_is_read_by_its_name(folder: Path, source: str) -> None:
    reading = read_source(source, [str(folder / source)], origin="example.org")
    assert reading.document.mailboxes[0].address == "anna@example.org"
    assert reading.document.mailboxes[0].password is not None


def test_an_export_may_be_larger_if_that_is_allowed(folder: Path) -> None:
    place = str(folder / "gatepost")
    with pytest.raises(SourceError, match="larger than"):
        read_source("gatepost", [place], largest=100)
    assert read_source("gatepost", [place], largest=1 << 30).document == EVERYTHING


def test_a_pair_of_files(folder: Path) -> None:
    places = [str(folder / "postfix" / name) for name in ("virtual", "passwd")]
    reading = read_source("postfix", places, origin="example.org")
    assert [one.address for one in reading.document.aliases] == ["root@example.org"]


@pytest.mark.parametrize(
    ("source", "places", "says"),
    [
        ("exchange", ["x"], "not one of: gatepost, csv, postfix"),
        ("mailu", [], "expected a file written by config-export"),
        ("mailu", ["a", "b"], "one file or one database"),
        ("gatepost", ["/nowhere"], "No such file"),
        ("gatepost", ["/dev/zero"], "not a regular file"),
        ("gatepost", ["{folder}/mailu"], "Invalid JSON"),
        ("mailu", ["{folder}/gatepost"], "none of the sections"),
        ("couchmail", ["{folder}/gatepost"], "a list of documents"),
        ("mailcow", ["mysql://u@h/d"], "mysqldump"),
    ],
)
def test_what_is_not_read(folder: Path, source: str, places: list[str], says: str) -> None:
    with pytest.raises(SourceError, match=says):
        read_source(source, [place.format(folder=folder) for place in places])


@pytest.mark.parametrize("source", SOURCES)
def test_no_note_has_a_password_whatever_file_it_is_given(tmp_path: Path, source: str) -> None:
    """Files get mixed up: a passwd-file where a table of aliases is expected, and so on."""
    lines = [
        "anna@example.org|{PLAIN}Geheim",
        "{PLAIN}Geheim",
        "{SHA512-CRYPT}Geheim anna@example.org",
        "$6$salt$Geheim@example.org anna@example.org",
        "anna@example.org {SSHA}Geheim",
        "bob@example.org {PLAIN}a Geheim",
        "anna@example.org:{PLAIN}Geheim:x:{PLAIN}Geheim",
    ]
    tables = ("virtual", "passwd", "postfix-accounts.cf", "postfix-virtual.cf", "dovecot-quotas.cf")
    names = (*tables, "users/{PLAIN}Geheim/passwd", "users/a@example.org/fetchmailrc", "KeyTable")
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines))
    place = tmp_path if source in FOLDERS else tmp_path / "virtual"
    try:
        found = "\n".join(map(str, read_source(source, [str(place)]).notes))
    except SourceError as error:
        found = str(error)
    assert "Geheim" not in found.replace("users/{PLAIN}Geheim/passwd", "")


FOLDERS = ("postfix", "docker-mailserver", "docker-dovecot-rspamd")
