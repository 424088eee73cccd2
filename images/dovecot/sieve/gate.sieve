# Mail that Gatepost quarantines goes to Junk. The milter removes this field from mail of others.
require ["fileinto", "mailbox"];
if header :matches "X-Gatepost-Verdict" "quarantine;*" {
  fileinto :create "Junk";
  stop;
}
