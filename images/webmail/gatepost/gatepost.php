<?php

/** Gatepost's part in Roundcube: one log, the address of the client for Dovecot, no version in pages. */
class gatepost extends rcube_plugin
{
    public function init()
    {
        $this->add_hook('write_log', [$this, 'write_log']);
        $this->add_hook('startup', [$this, 'hide_version']);
        $this->add_hook('storage_connect', [$this, 'tell_client']);
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
}
