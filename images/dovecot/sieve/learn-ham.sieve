# A user took a message out of Junk; into Trash is no sign that it is wanted.
require ["vnd.dovecot.pipe", "copy", "imapsieve", "environment", "variables"];
if environment :matches "imap.mailbox" "Trash" { stop; }
if environment :matches "imap.user" "*" { set "user" "${1}"; }
pipe :copy "learn" ["ham", "${user}"];
