# A message came into Junk, by a user. The keywords are those of the nightly training, which learns what
# has none: so there is none if the program fails.
require ["vnd.dovecot.execute", "imapsieve", "environment", "variables", "imap4flags"];
if environment :matches "imap.user" "*" { set "user" "${1}"; }
if execute :pipe "learn" ["spam", "${user}"] {
  removeflag "$LearnedHam";
  addflag "$LearnedSpam";
}
