/* A load generator for LMTP servers (RFC 2033), which sends as Postfix's lmtp(8) does.
 *
 *   lmtp ADDRESS CONNECTIONS PER_CONNECTION SECONDS MESSAGES DOMAIN FILE
 *
 * CONNECTIONS threads deliver the message in FILE, one after the other, until SECONDS have passed or
 * MESSAGES were answered (0: no such limit). The thread with the number N delivers to userN@DOMAIN,
 * so that no mailbox is written by two at once. A connection carries PER_CONNECTION messages, each
 * with one recipient; MAIL, RCPT and DATA are pipelined. FILE has the octets as they are sent, without
 * the end; {serial} in it becomes a number of eight digits, so that no message is sent twice. The result is one JSON object on standard output.
 */
#define _GNU_SOURCE /* memmem() */
#include "bench.h"

#define MAX_ERRORS 20 /* a server that fails so often is not measured */

static const char *address, *domain;
static uint8_t *message;
static size_t message_size;
static ssize_t serial_at = -1;
static atomic_long next_serial;
static long per_connection, message_limit;
static double end_time;
static atomic_long next_message, answered;
static atomic_int errors;

struct worker {
    pthread_t thread;
    int number;
    struct latencies latencies;
    uint8_t *message;
};

struct connection {
    int fd;
    size_t size, at;
    char data[8192];
};

/* Reads one reply, of several lines perhaps; its code, or -1. */
static int read_reply(struct connection *c) {
    for (;;) {
        char *start = c->data + c->at, *end = memchr(start, '\n', c->size - c->at);
        if (end) {
            c->at = (size_t)(end + 1 - c->data);
            if (end - start >= 4 && start[3] == '-') continue;
            int code = atoi(start);
            if (code >= 400) fprintf(stderr, "lmtp: %.*s\n", (int)(end - start), start);
            return code;
        }
        memmove(c->data, start, c->size -= c->at);
        c->at = 0;
        if (c->size == sizeof c->data) return -1;
        ssize_t got = recv(c->fd, c->data + c->size, sizeof c->data - c->size, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return -1;
        c->size += (size_t)got;
    }
}

static int say(struct connection *c, const char *text) {
    return send_all(c->fd, (const uint8_t *)text, strlen(text));
}

static int greet(struct connection *c) {
    c->size = c->at = 0;
    if ((c->fd = open_connection(address)) < 0) return -1;
    int on = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (read_reply(c) != 220 || say(c, "LHLO mail.gateway.example\r\n")) return -1;
    return read_reply(c) == 250 ? 0 : -1;
}

static int deliver(struct connection *c, struct worker *w) {
    char commands[512];
    snprintf(commands, sizeof commands,
             "MAIL FROM:<sender@d0.bench.example> BODY=8BITMIME\r\nRCPT TO:<user%d@%s>\r\nDATA\r\n",
             w->number, domain);
    if (say(c, commands) || read_reply(c) != 250 || read_reply(c) != 250) return -1;
    if (read_reply(c) != 354) return -1;
    if (serial_at >= 0) {
        char serial[16];
        snprintf(serial, sizeof serial, "%08ld", atomic_fetch_add(&next_serial, 1) % 100000000);
        memcpy(w->message + serial_at, serial, 8);
    }
    if (send_all(c->fd, w->message, message_size)) return -1;
    return read_reply(c) == 250 ? 0 : -1;
}

static void *work(void *argument) {
    struct worker *w = argument;
    struct connection c = {.fd = -1};
    long sent = 0;
    while (now() < end_time && atomic_load(&errors) < MAX_ERRORS) {
        if (message_limit && atomic_fetch_add(&next_message, 1) >= message_limit) break;
        double start = now();
        errno = 0;
        if ((c.fd < 0 && greet(&c)) || deliver(&c, w)) {
            if (atomic_fetch_add(&errors, 1) == 0)
                fprintf(stderr, "lmtp: %s\n", errno ? strerror(errno) : "a wrong reply");
            if (c.fd >= 0) close(c.fd);
            c.fd = -1;
            continue;
        }
        add_latency(&w->latencies, now() - start);
        atomic_fetch_add(&answered, 1);
        if (++sent % per_connection == 0) {
            say(&c, "QUIT\r\n");
            read_reply(&c);
            close(c.fd);
            c.fd = -1;
        }
    }
    if (c.fd >= 0) {
        say(&c, "QUIT\r\n");
        close(c.fd);
    }
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 8) {
        fprintf(stderr, "lmtp ADDRESS CONNECTIONS PER_CONNECTION SECONDS MESSAGES DOMAIN FILE\n");
        return 2;
    }
    address = argv[1];
    int connections = atoi(argv[2]);
    per_connection = atol(argv[3]);
    double seconds = atof(argv[4]);
    message_limit = atol(argv[5]);
    domain = argv[6];
    uint8_t *file = read_file(argv[7], &message_size);
    message = must(malloc(message_size + 3));
    memcpy(message, file, message_size);
    memcpy(message + message_size, ".\r\n", 3);
    message_size += 3;
    uint8_t *place = memmem(message, message_size, "{serial}", 8);
    if (place) serial_at = place - message;
    atomic_store(&next_serial, (long)time(NULL) % 10000 * 10000); /* another one in each load */

    struct worker *workers = must(calloc((size_t)connections, sizeof *workers));
    double start = now();
    end_time = seconds > 0 ? start + seconds : 1e18;
    for (int i = 0; i < connections; i++) {
        workers[i].number = i;
        workers[i].message = must(malloc(message_size));
        memcpy(workers[i].message, message, message_size);
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i])) die("pthread_create");
    }
    struct latencies all = {0};
    for (int i = 0; i < connections; i++) {
        pthread_join(workers[i].thread, NULL);
        merge_latencies(&all, &workers[i].latencies);
    }
    double took = now() - start;
    sort_latencies(&all);
    printf("{\"done\": %ld, \"seconds\": %.6f, \"p50\": %.6f, \"p99\": %.6f, \"errors\": %d, \"replies\": {}}\n",
           atomic_load(&answered), took, percentile(&all, .5), percentile(&all, .99), atomic_load(&errors));
    return 0;
}
