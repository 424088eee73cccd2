<?php

/** The API of accounts, asked with the login of the person at the browser. */
class gatepost_api
{
    private const TIMEOUT = 30;
    private const LARGEST = 65536; // octets of an answer

    /**
     * Send a request; return the status and the answer, decoded if it is JSON. The status is 0 if there is no
     * answer.
     */
    public static function request(string $method, string $path, string $user, string $password, ?string $body = null): array
    {
        $head = [
            'Authorization: Basic ' . base64_encode("$user:$password"),
            'Accept: application/json',
            'Connection: close',
        ];
        if ($body !== null) {
            $head[] = 'Content-Type: application/json';
        }
        if (filter_var($client = rcube_utils::remote_addr(), FILTER_VALIDATE_IP)) {
            // accounts believes it if webmail is in [accounts.http] proxies
            $head[] = "X-Forwarded-For: $client";
        }
        $context = stream_context_create(['http' => [
            'method' => $method,
            'header' => $head,
            'content' => (string) $body,
            'protocol_version' => 1.1,
            'timeout' => self::TIMEOUT,
            'ignore_errors' => true,
            'follow_location' => 0,
        ]]);
        $url = rcmail::get_instance()->config->get('gatepost_api') . $path;
        $answer = @file_get_contents($url, false, $context, 0, self::LARGEST);
        if ($answer === false || !preg_match('#^HTTP/\S+ (\d{3})#', $http_response_header[0] ?? '', $found)) {
            return [0, null];
        }
        return [(int) $found[1], json_decode($answer, true, 8)];
    }
}
