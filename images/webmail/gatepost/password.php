<?php

/** Change of one's own password by the API of accounts, with the login of the one who asks. */
class rcube_gatepost_password
{
    /** Set a password; returns a status of the plugin, with the sentence of accounts if it refuses. */
    public function save($curpass, $newpass, $username)
    {
        $body = json_encode(['current_password' => $curpass, 'password' => $newpass]);
        if ($body === false) {
            return PASSWORD_ERROR; // not UTF-8
        }
        [$status, $problem] = gatepost_api::request('PUT', '/me/password', $username, $curpass, $body);
        if ($status === 204) {
            return PASSWORD_SUCCESS;
        }
        if ($status === 0 || $status >= 500) {
            rcube::raise_error("accounts does not change a password: status $status", true);
            return PASSWORD_CONNECT_ERROR;
        }
        return ['code' => PASSWORD_ERROR, 'message' => $this->sentence($problem)];
    }

    /** Return the sentence of a refusal (RFC 9457), safe in HTML. */
    private function sentence($problem): string
    {
        $text = $problem['errors'][0]['text'] ?? $problem['detail'] ?? '';
        return is_string($text) ? rcube::Q(mb_substr($text, 0, 300)) : '';
    }
}
