/* A load generator for milters: plays the MTA of the milter protocol (version 6) as Postfix does.
 *
 *   milter ADDRESS CONNECTIONS PER_CONNECTION SECONDS MESSAGES FIRST CORPUS REPLIES
 *
 * CONNECTIONS threads each open a connection, hand over PER_CONNECTION messages, close it and start
 * again, until SECONDS have passed or MESSAGES were handed over (0: no such limit). FIRST is the
 * index of the first message of the corpus; after the last the first comes again. What the server
 * answered to the first message is written to the file REPLIES ("-": nowhere), so that it can be
 * checked that the work was really done. The result is one JSON object on standard output.
 *
 * All packets are made beforehand by tools/bench/corpus.py. What can be sent without waiting for an answer
 * is sent in one write; where the server wants to answer, its answer is waited for.
 *
 * The corpus, all numbers little-endian u32: count of bodies, then each as (size, octets); count of
 * messages, then each as (index of its body, size, steps). A step is: stage (one octet, the milter
 * command), size of the macro packet, size of the command packet, both packets.
 */
#include "bench.h"

enum { NO_REPLY_HEADER = 0x80, NO_REPLY_EOH = 0x40000, NO_REPLY_BODY = 0x80000,
       LEADING_SPACE = 0x100000 };
#define CHUNK 65535u /* MILTER_CHUNK_SIZE */

static const struct { char stage; uint32_t unwanted, no_reply; } STAGES[] = {
    {'C', 0x1, 0x1000}, {'H', 0x2, 0x2000}, {'M', 0x4, 0x4000}, {'R', 0x8, 0x8000},
    {'T', 0x200, 0x10000}, {'L', 0x20, NO_REPLY_HEADER}, {'N', 0x40, NO_REPLY_EOH},
    {'B', 0x10, NO_REPLY_BODY}, {'E', 0, 0},
};

/* ---- a message, cut into pieces after each of which an answer is waited for ---- */

/* The body is the same for many messages: it is sent from one place, between what is before and
 * behind it. */
struct piece { struct iovec parts[3]; int count; char stage; };
struct message { struct piece *pieces; size_t count, connect_count; };

struct body { const uint8_t *packets; size_t size, chunk_count; };
static struct body *bodies;
static struct { const uint8_t *steps; size_t size; uint32_t body; } *raw;
static struct message *messages;
static size_t message_count;

static const char *address, *replies_path;
static int connections;
static long per_connection, message_limit, first_message;
static double end_time;
static uint32_t protocol;
static atomic_long next_message, handed_over;
static atomic_int errors, finished;

#define MAX_ERRORS 100 /* a server that fails so often is not measured */

struct worker {
    pthread_t thread;
    struct latencies latencies;
    long verdicts[256];
    uint8_t in[1 << 16];
    size_t in_start, in_end;
    FILE *record;
};

static uint32_t u32(const uint8_t *p) { uint32_t n; memcpy(&n, p, 4); return n; }
static uint32_t be32(const uint8_t *p) { return ntohl(u32(p)); }

static struct body in_packets(const uint8_t *octets, size_t size) {
    size_t chunks = (size + CHUNK - 1) / CHUNK;
    uint8_t *packets = must(malloc(size + 5 * chunks + 1)), *end = packets;
    for (size_t at = 0; at < size; at += CHUNK) {
        size_t part = size - at < CHUNK ? size - at : CHUNK;
        uint32_t length = htonl((uint32_t)part + 1);
        memcpy(end, &length, 4);
        end[4] = 'B';
        memcpy(end + 5, octets + at, part);
        end += 5 + part;
    }
    return (struct body){packets, (size_t)(end - packets), chunks};
}

static void read_corpus(const char *path) {
    size_t size;
    const uint8_t *p = read_file(path, &size);
    uint32_t count = u32(p); p += 4;
    bodies = must(calloc(count, sizeof *bodies));
    for (uint32_t i = 0; i < count; i++) {
        bodies[i] = in_packets(p + 4, u32(p));
        p += 4 + u32(p);
    }
    message_count = u32(p); p += 4;
    raw = must(calloc(message_count, sizeof *raw));
    for (size_t i = 0; i < message_count; i++) {
        raw[i].body = u32(p); raw[i].size = u32(p + 4); raw[i].steps = p + 8;
        p += 8 + raw[i].size;
    }
}

struct builder { uint8_t *data; size_t size, room; struct message *message; struct piece open; };

static void append(struct builder *b, const void *data, size_t size) {
    if (!size) return;
    if (b->size + size > b->room) {
        b->room = (b->size + size) * 2;
        b->data = must(realloc(b->data, b->room));
    }
    memcpy(b->data + b->size, data, size);
    struct iovec *last = &b->open.parts[b->open.count - 1];
    /* a part of ours has no address before the message is complete and `data` stays where it is */
    if (b->open.count && !last->iov_base) last->iov_len += size;
    else b->open.parts[b->open.count++] = (struct iovec){NULL, size};
    b->size += size;
}

static void append_shared(struct builder *b, const uint8_t *data, size_t size) {
    b->open.parts[b->open.count++] = (struct iovec){(void *)data, size};
}

static void cut(struct builder *b, char stage) {
    struct message *m = b->message;
    m->pieces = must(realloc(m->pieces, (m->count + 1) * sizeof *m->pieces));
    b->open.stage = stage;
    m->pieces[m->count++] = b->open;
    memset(&b->open, 0, sizeof b->open);
}

static void append_header(struct builder *b, const uint8_t *packet, size_t size) {
    /* the packet has the value as it stands in the message, with its leading space */
    const uint8_t *value = memchr(packet + 5, 0, size - 5);
    if ((protocol & LEADING_SPACE) || !value || value[1] != ' ') { append(b, packet, size); return; }
    uint32_t length = htonl((uint32_t)(size - 4 - 1));
    append(b, &length, 4);
    append(b, packet + 4, (size_t)(value + 1 - packet) - 4);
    append(b, value + 2, size - (size_t)(value + 2 - packet));
}

static void append_body(struct builder *b, const struct body *body, int waits) {
    if (!waits) { append_shared(b, body->packets, body->size); return; }
    const uint8_t *packet = body->packets;
    for (size_t i = 0; i < body->chunk_count; i++) {
        size_t size = 4 + be32(packet);
        append_shared(b, packet, size);
        cut(b, 'B');
        packet += size;
    }
}

/* What this server wants to see of the message, as pieces. Like Postfix this sends the macros of a
 * stage even where the command itself is not wanted. */
static void build(size_t index) {
    struct message *m = &messages[index];
    struct builder b = {.message = m};
    const uint8_t *p = raw[index].steps, *end = p + raw[index].size;
    while (p < end) {
        char stage = (char)p[0];
        uint32_t macro = u32(p + 1), command = u32(p + 5), unwanted = 0, no_reply = 0;
        const uint8_t *packets = p + 9;
        p = packets + macro + command;
        for (size_t s = 0; s < sizeof STAGES / sizeof *STAGES; s++)
            if (STAGES[s].stage == stage) {
                unwanted = STAGES[s].unwanted & protocol;
                no_reply = STAGES[s].no_reply & protocol;
            }
        append(&b, packets, macro);
        if (!unwanted) {
            if (stage == 'B') append_body(&b, &bodies[raw[index].body], !no_reply);
            else if (stage == 'L') append_header(&b, packets + macro, command);
            else append(&b, packets + macro, command);
            if (!no_reply && stage != 'B') cut(&b, stage);
        }
        /* the next message of a connection begins behind this piece */
        if (stage == 'H') {
            if (b.open.count) cut(&b, 0);
            m->connect_count = m->count;
        }
    }
    uint8_t *own = b.data;
    for (size_t i = 0; i < m->count; i++)
        for (int j = 0; j < m->pieces[i].count; j++) {
            struct iovec *part = &m->pieces[i].parts[j];
            if (part->iov_base) continue;
            part->iov_base = own;
            own += part->iov_len;
        }
}

/* ---- the server's answers ---- */

static int fill(struct worker *w, int fd, size_t need) {
    while (w->in_end - w->in_start < need) {
        if (w->in_start) {
            memmove(w->in, w->in + w->in_start, w->in_end - w->in_start);
            w->in_end -= w->in_start;
            w->in_start = 0;
        }
        if (w->in_end == sizeof w->in) return -1;
        ssize_t got = recv(fd, w->in + w->in_end, sizeof w->in - w->in_end, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return -1;
        w->in_end += (size_t)got;
    }
    return 0;
}

/* The next packet: its command, the data in *data; 0 when the server hung up. */
static char read_packet(struct worker *w, int fd, const uint8_t **data, size_t *size) {
    if (fill(w, fd, 5)) return 0;
    uint32_t length = be32(w->in + w->in_start);
    if (length < 1 || length > sizeof w->in - 4 || fill(w, fd, 4 + length)) return 0;
    const uint8_t *packet = w->in + w->in_start;
    if (w->record) fwrite(packet, 1, 4 + length, w->record);
    *data = packet + 5;
    *size = length - 1;
    w->in_start += 4 + length;
    return (char)packet[4];
}

/* The verdict that ends a stage; changes of the message and progress come before it. */
static char read_verdict(struct worker *w, int fd) {
    for (;;) {
        const uint8_t *data;
        size_t size;
        char command = read_packet(w, fd, &data, &size);
        w->verdicts[(uint8_t)command]++;
        if (!command || strchr("acdrtsy4", command)) return command;
    }
}

static int negotiate(struct worker *w, int fd, uint32_t *flags) {
    /* version, every action, every protocol step: what Postfix offers with milter_protocol = 6 */
    static const uint8_t offer[] = {0, 0, 0, 13, 'O', 0, 0, 0, 6, 0, 0, 1, 0xff, 0, 0x1f, 0xff, 0xff};
    const uint8_t *data;
    size_t size;
    if (send_all(fd, offer, sizeof offer)) return -1;
    if (read_packet(w, fd, &data, &size) != 'O' || size < 12) return -1;
    *flags = be32(data + 8);
    return 0;
}

static int send_piece(int fd, const struct piece *piece) {
    struct iovec parts[3];
    memcpy(parts, piece->parts, sizeof parts);
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)piece->count};
    while (message.msg_iovlen) {
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return -1;
        while (message.msg_iovlen && (size_t)sent >= message.msg_iov->iov_len) {
            sent -= (ssize_t)message.msg_iov->iov_len;
            message.msg_iov++;
            message.msg_iovlen--;
        }
        if (message.msg_iovlen) {
            message.msg_iov->iov_base = (uint8_t *)message.msg_iov->iov_base + sent;
            message.msg_iov->iov_len -= (size_t)sent;
        }
    }
    return 0;
}

static int hand_over(struct worker *w, int fd, const struct message *m, size_t from) {
    int body_skipped = 0;
    for (size_t i = from; i < m->count; i++) {
        const struct piece *piece = &m->pieces[i];
        if (piece->stage == 'B' && body_skipped) continue;
        if (send_piece(fd, piece)) return -1;
        if (!piece->stage) continue;
        char verdict = read_verdict(w, fd);
        if (!verdict) return -1;
        if (verdict == 's') body_skipped = 1;
        else if (verdict != 'c' && piece->stage != 'E') return 0; /* decided before the end */
    }
    return 0;
}

static void fail(const char *what) {
    if (atomic_fetch_add(&errors, 1) == 0) fprintf(stderr, "milter: %s: %s\n", what, strerror(errno));
}

static int is_over(void) { return atomic_load(&finished) || now() >= end_time; }

static void *work(void *argument) {
    struct worker *w = argument;
    static const uint8_t quit[] = {0, 0, 0, 1, 'Q'};
    while (!is_over() && atomic_load(&errors) < MAX_ERRORS) {
        double start = now();
        int fd = open_connection(address);
        uint32_t flags;
        w->in_start = w->in_end = 0;
        if (fd < 0) { fail("connect"); usleep(1000); continue; }
        if (negotiate(w, fd, &flags) || flags != protocol) { fail("negotiation"); close(fd); continue; }
        for (long i = 0; i < per_connection && !is_over(); i++) {
            long index = atomic_fetch_add(&next_message, 1);
            if (message_limit && index >= message_limit) { atomic_store(&finished, 1); break; }
            const struct message *m = &messages[(size_t)(first_message + index) % message_count];
            if (index == 0 && strcmp(replies_path, "-")) w->record = fopen(replies_path, "wb");
            if (i) start = now();
            errno = 0;
            if (hand_over(w, fd, m, i ? m->connect_count : 0)) { fail("the server hung up"); break; }
            if (w->record) { fclose(w->record); w->record = NULL; }
            add_latency(&w->latencies, now() - start);
            atomic_fetch_add(&handed_over, 1);
        }
        send_all(fd, quit, sizeof quit);
        close(fd);
    }
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 9) {
        fprintf(stderr, "milter ADDRESS CONNECTIONS PER_CONNECTION SECONDS MESSAGES FIRST CORPUS REPLIES\n");
        return 2;
    }
    address = argv[1];
    connections = atoi(argv[2]);
    per_connection = atol(argv[3]);
    message_limit = atol(argv[5]);
    first_message = atol(argv[6]);
    replies_path = argv[8];
    read_corpus(argv[7]);

    struct worker *workers = must(calloc((size_t)connections, sizeof *workers));
    int fd = open_connection(address);
    if (fd < 0 || negotiate(workers, fd, &protocol)) die(address);
    close(fd);
    messages = must(calloc(message_count, sizeof *messages));
    for (size_t i = 0; i < message_count; i++) build(i);

    double start = now();
    double seconds = atof(argv[4]);
    end_time = seconds > 0 ? start + seconds : 1e18;
    for (int i = 0; i < connections; i++)
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i])) die("pthread_create");
    struct latencies all = {0};
    long verdicts[256] = {0};
    for (int i = 0; i < connections; i++) {
        pthread_join(workers[i].thread, NULL);
        merge_latencies(&all, &workers[i].latencies);
        for (int c = 0; c < 256; c++) verdicts[c] += workers[i].verdicts[c];
    }
    double took = now() - start;
    sort_latencies(&all);
    printf("{\"done\": %ld, \"seconds\": %.6f, \"p50\": %.6f, \"p99\": %.6f, \"errors\": %d, \"replies\": {",
           atomic_load(&handed_over), took, percentile(&all, .5), percentile(&all, .99), atomic_load(&errors));
    const char *between = "";
    for (int c = 33; c < 127; c++)
        if (verdicts[c]) { printf("%s\"%c\": %ld", between, c, verdicts[c]); between = ", "; }
    printf("}, \"protocol\": %u}\n", protocol);
    return 0;
}
