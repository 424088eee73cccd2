# Postfix sends a message again when it could not hear or record that it was delivered: after a kill,
# for example. A message that has been delivered is not delivered twice.
#
# The key is written by our Postfix: queue id and time, from the second Received field, below that of
# LMTP. A Message-ID would not do: its sender chooses it, and could suppress the mail of others. The
# recipient belongs to the key, because anna and anna+lists may both be recipients. The key is stored
# when the whole delivery is complete, the rules of the user included. `settle` makes the same key.
#
# Mail in quarantine is left out: it comes once for each part of the recipients, who are named in it.
require ["duplicate", "envelope", "index", "regex", "variables"];
if allof(not header :matches "X-Virus-Status" "Infected*", header :index 2 :regex "Received"
    "\\(Postfix\\)[[:space:]]+(with[[:space:]]+[A-Za-z0-9]+[[:space:]]+)?id[[:space:]]+([0-9A-Za-z]+)(;|[[:space:]].*;)[[:space:]]*([^;]+)$") {
  set "taken" "${2} ${4}";
  if envelope :matches "to" "*" {
    if duplicate :handle "once" :uniqueid "${taken} ${1}" :seconds 86400 {
      discard;
      stop;
    }
  }
}
