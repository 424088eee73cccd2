# user+folder@example.org: into the folder of that name, if there is one, unless a rule has said where
# the message goes. A stranger cannot make folders.
require ["envelope", "fileinto", "mailbox", "subaddress", "variables"];
if envelope :detail :matches "to" "?*" {
  set "folder" "${1}${2}";
  # the case may have been lost on the way
  set :lower :upperfirst "capital" "${folder}";
  if mailboxexists "${folder}" {
    fileinto "${folder}";
  } elsif mailboxexists "${capital}" {
    fileinto "${capital}";
  }
}
