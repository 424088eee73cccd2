package Gatepost::GroupFolders;

# Plugin of SpamAssassin: keeps the folders of users open to the group. SpamAssassin makes them with
# mode 0700, and delivery, which is another user of the same group, writes user_prefs there.
use strict;
use warnings;
use File::Basename qw(dirname);
use Mail::SpamAssassin::Plugin;

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
