<?php

/** Change of one's own password by the API of accounts, with the login of the one who asks. */
class rcube_gatepost_password
{
    private const TIMEOUT = 30;

    /** Set a password; returns a status of the plugin, with the sentence of accounts if it refuses. */
    public function save($curpass, $newpass, $username)
    {
        $body = json_encode(['current_password' => $curpass, 'password' => $newpass]);
        if ($body === false) {
            return PASSWORD_ERROR; // not UTF-8
        }
        $head = [
            'Authorization: Basic ' . base64_encode("$username:$curpass"),
            'Content-Type: application/json',
            'Accept: application/json',
            'Connection: close',
        ];
        if (filter_var($client = rcube_utils::remote_addr(), FILTER_VALIDATE_IP)) {
            // accounts believes it if webmail is in [accounts.http] proxies
            $head[] = "X-Forwarded-For: $client";
        }
        $context = stream_context_create(['http' => [
            'method' => 'PUT',
            'header' => $head,
            'content' => $body,
            'protocol_version' => 1.1,
            'timeout' => self::TIMEOUT,
            'ignore_errors' => true,
            'follow_location' => 0,
        ]]);
        $url = rcmail::get_instance()->config->get('gatepost_api') . '/me/password';
        $answer = @file_get_contents($url, false, $context, 0, 65536);
        $status = preg_match('#^HTTP/\S+ (\d{3})#', $http_response_header[0] ?? '', $found) ? (int) $found[1] : 0;
        if ($answer !== false && $status === 204) {
            return PASSWORD_SUCCESS;
        }
        if ($answer === false || $status === 0 || $status >= 500) {
            rcube::raise_error("accounts does not change a password: status $status", true);
            return PASSWORD_CONNECT_ERROR;
        }
        return ['code' => PASSWORD_ERROR, 'message' => $this->sentence((string) $answer)];
    }

    /** Return the sentence of a refusal (RFC 9457), safe in HTML. */
    private function sentence(string $answer): string
    {
        $problem = json_decode($answer, true, 8);
        $text = $problem['errors'][0]['text'] ?? $problem['detail'] ?? '';
        return is_string($text) ? rcube::Q(mb_substr($text, 0, 300)) : '';
    }
}
