# A user took a message out of Junk; into Trash is no sign that it is wanted.
require ["vnd.dovecot.execute", "imapsieve", "environment", "variables", "imap4flags"];
if environment :matches "imap.mailbox" ["Trash", "Trash/*", "Junk/*"] { stop; }
if environment :matches "imap.user" "*" { set "user" "${1}"; }
if execute :pipe "learn" ["ham", "${user}"] {
  removeflag "$LearnedSpam";
  addflag "$LearnedHam";
}
