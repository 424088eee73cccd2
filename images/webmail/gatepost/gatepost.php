<?php

/**
 * Gatepost's part in Roundcube: one log, the address of the client for Dovecot, no version in pages, the name of
 * a person from accounts.
 */
class gatepost extends rcube_plugin
{
    /** The password of the login in progress. */
    private $password = '';

    public function init()
    {
        require_once __DIR__ . '/api.php';
        $this->add_hook('write_log', [$this, 'write_log']);
        $this->add_hook('startup', [$this, 'hide_version']);
        $this->add_hook('storage_connect', [$this, 'tell_client']);
        $this->add_hook('authenticate', [$this, 'keep_password']);
        $this->add_hook('user_create', [$this, 'name_person']);
    }

    /** Write to the log of PHP, which lighttpd writes to that of the container; one line, whatever is in it. */
    public function write_log($args)
    {
        $line = is_string($args['line']) ? $args['line'] : json_encode($args['line']);
        $line = preg_replace('/[\x00-\x1f\x7f]+/', ' ', substr((string) $line, 0, 2000));
        error_log($args['name'] . ': ' . $line);
        $args['abort'] = true;
        return $args;
    }

    /** Take the version of Roundcube out of the page. */
    public function hide_version($args)
    {
        $output = rcmail::get_instance()->output;
        if ($output instanceof rcmail_output_html) {
            $output->set_env('rcversion', null);
        }
        return $args;
    }

    /**
     * Say before the login from where the person comes: wrong passwords of one person must not slow down all
     * others. Dovecot believes it if webmail is in login_trusted_networks.
     */
    public function tell_client($args)
    {
        $address = rcube_utils::remote_addr();
        if (filter_var($address, FILTER_VALIDATE_IP)) {
            $args['preauth_ident'] = ['x-originating-ip' => $address];
        }
        return $args;
    }

    /** Keep the password until the end of this request. */
    public function keep_password($args)
    {
        $this->password = (string) $args['pass'];
        return $args;
    }

    /** Give the first identity the name that the mailbox has in accounts; without an answer it has no name. */
    public function name_person($args)
    {
        if ($this->password === '' || !rcmail::get_instance()->config->get('gatepost_api')) {
            return $args;
        }
        [$status, $mailbox] = gatepost_api::request('GET', '/me/mailbox', (string) $args['user'], $this->password);
        if ($status === 200 && is_string($name = $mailbox['display_name'] ?? null) && $name !== '') {
            $args['user_name'] = $name;
        } elseif ($status !== 200) {
            rcube::raise_error("accounts does not tell the name of a mailbox: status $status", true);
        }
        return $args;
    }
}
