# Mail that the spam filter marks goes to Junk. Used with DOVECOT_SPAM_FLAG alone: anybody can write
# this field, and `gatepost delivery` removes those of others.
require ["fileinto", "mailbox"];
if header :is "X-Spam-Flag" "YES" {
  fileinto :create "Junk";
  stop;
}
