"""Rules for arriving mail, made in the pages and the API, and the Sieve script they become.

`parse_rule` reads a rule from JSON, `compile_rules` writes the script of a mailbox, and
`compile_stored` does so for what the datastore holds, whatever that is.
"""

from accounts.sieve.rule import (
    MailRule,
    RuleError,
    StoredRule,
    parse_rule,
    parse_rule_text,
    read_stored,
)
from accounts.sieve.script import (
    MAX_RULES,
    MAX_SCRIPT,
    Compiled,
    ScriptProblem,
    compile_rules,
    compile_stored,
)

__all__ = [
    "MAX_RULES",
    "MAX_SCRIPT",
    "Compiled",
    "MailRule",
    "RuleError",
    "ScriptProblem",
    "StoredRule",
    "compile_rules",
    "compile_stored",
    "parse_rule",
    "parse_rule_text",
    "read_stored",
]
