package Gatepost::Rootless;

# Plugin of SpamAssassin for a spamd that was never root.
#
# It keeps the folders of users open to the group: SpamAssassin makes them with mode 0700, and
# delivery, which is another user of the same group, writes user_prefs there.
#
# And it lets Pyzor start: before a program, SpamAssassin puts its user and groups in order, for which
# it wants to be root if its group is 0. Here they are in order from the start.
use strict;
use warnings;
use File::Basename qw(dirname);
use Mail::SpamAssassin::Plugin;
use Mail::SpamAssassin::Util;

{
    no warnings 'redefine';
    my $put_in_order = \&Mail::SpamAssassin::Util::setuid_to_euid;
    *Mail::SpamAssassin::Util::setuid_to_euid = sub {
        return if $< != 0 && $< == $>;
        return $put_in_order->();
    };
}

our @ISA = qw(Mail::SpamAssassin::Plugin);

use constant MODE => 02770;

sub new {
    my ($class, $main) = @_;
    my $self = $class->SUPER::new($main);
    return bless $self, ref($class) || $class;
}

sub signal_user_changed {
    my ($self, $options) = @_;
    my $folder = $options->{userstate_dir};
    return 0 unless defined $folder;
    # of the user, then of the domain
    for my $each (dirname($folder), $folder) {
        my @found = lstat $each or next;
        next unless -d _ && $found[4] == $> && ($found[2] & 07777) != MODE;
        chmod MODE, Mail::SpamAssassin::Util::untaint_file_path($each);
    }
    return 1;
}

1;
