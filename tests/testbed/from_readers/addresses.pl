# Reads From fields, one a line in base64, and writes the addresses that the Perl module named by
# the argument shows, as a JSON list a line. Octets stay octets.
use strict;
use warnings;
no warnings qw(utf8 uninitialized);
use MIME::Base64;
use JSON::PP;
use Email::Address::XS;
use Mail::Address;

my $module = shift;
my $json = JSON::PP->new->ascii;
while (my $line = <STDIN>) {
    my $value = decode_base64($line);
    my @shown;
    for my $address ($module->parse($value)) {
        my ($user, $host) = ($address->user, $address->host);
        push @shown, ($user // '') . '@' . $host if defined $host && length $host;
        my $whole = $address->address;
        push @shown, $whole if defined $whole && $whole =~ /\@/;
    }
    print $json->encode([@shown]), "\n";
}
