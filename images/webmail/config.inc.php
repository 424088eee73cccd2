<?php

// The configuration of Roundcube, from the variables that `run` has checked.

/** Return a variable of the environment; the text `$default` if it is not set or empty. */
function webmail_setting(string $name, string $default = ''): string
{
    return (string) (getenv("WEBMAIL_$name") ?: $default);
}

$config = [];

$config['db_dsnw'] = 'sqlite:////var/lib/webmail/webmail.sqlite?mode=0600';
$config['temp_dir'] = '/var/lib/webmail/temp/';
$config['log_logins'] = true;

// encrypts the passwords of sessions
$config['des_key'] = hash('sha256', (string) file_get_contents(webmail_setting('KEY_FILE')), true);
$config['cipher_method'] = 'AES-256-GCM';

$tls = ['verify_peer' => true, 'verify_peer_name' => true, 'min_version' => STREAM_CRYPTO_METHOD_TLSv1_2_CLIENT];
if (webmail_setting('CA_FILE') !== '') {
    $tls['cafile'] = webmail_setting('CA_FILE');
}
if (webmail_setting('TLS_NAME') !== '') {
    $tls['peer_name'] = webmail_setting('TLS_NAME');
}
$config['imap_host'] = webmail_setting('IMAP');
$config['imap_conn_options'] = ['ssl' => $tls];
$config['imap_timeout'] = 30;
$config['smtp_host'] = webmail_setting('SUBMISSION');
$config['smtp_user'] = '%u';
$config['smtp_pass'] = '%p';
$config['smtp_conn_options'] = ['ssl' => $tls];
$config['smtp_timeout'] = 60;

$config['plugins'] = ['gatepost', 'archive', 'markasjunk'];
if (webmail_setting('SIEVE') !== '') {
    $config['plugins'][] = 'managesieve';
    $config['managesieve_host'] = webmail_setting('SIEVE');
    $config['managesieve_conn_options'] = ['ssl' => $tls];
    $config['managesieve_vacation'] = 1;
    $config['managesieve_forward'] = 1;
}
if (webmail_setting('API') !== '') {
    $config['plugins'][] = 'password';
    $config['password_driver'] = 'gatepost';
    $config['password_confirm_current'] = true;
    $config['password_minimum_length'] = 8;
    $config['gatepost_api'] = rtrim(webmail_setting('API'), '/');
}

// folders as Dovecot creates them
$config['drafts_mbox'] = 'Drafts';
$config['sent_mbox'] = 'Sent';
$config['junk_mbox'] = 'Junk';
$config['trash_mbox'] = 'Trash';
$config['archive_mbox'] = 'Archive';
$config['markasjunk_ham_mbox'] = 'INBOX';

$config['product_name'] = webmail_setting('NAME', 'Webmail');
$config['display_product_info'] = 1; // the name, and no version
$config['useragent'] = '';
$config['support_url'] = '';
$config['skin'] = 'elastic';
$config['enable_installer'] = false;
$config['enable_spellcheck'] = false;
$config['username_domain'] = webmail_setting('DOMAIN');
$config['max_message_size'] = webmail_setting('MESSAGE_SIZE');
$config['login_lc'] = 2;
$config['login_autocomplete'] = 2;
$config['session_lifetime'] = 30;
$config['session_path'] = webmail_setting('PREFIX', '/');
$config['session_samesite'] = 'Lax';
$config['quota_zero_as_unlimited'] = true;
