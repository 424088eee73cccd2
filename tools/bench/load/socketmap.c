/* A load generator for tables of addresses behind Postfix's socketmap protocol (socketmap_table(5)), or
 * behind its proxymap(8).
 *
 *   socketmap ADDRESS CONNECTIONS SECONDS REQUESTS MAP PREFIX DOMAINS MAILBOXES EVERY SEED
 *
 * CONNECTIONS threads keep a connection each and ask one question after the other, until SECONDS
 * have passed or REQUESTS were answered (0: no such limit). A key is
 *   PREFIXuserN@dM.example
 * with N at random from 1 to MAILBOXES, such that N - 1 is a multiple of EVERY, and M the rest of N by
 * DOMAINS, as tools/bench/mailboxes.py fills the tables. With the map "message", four questions follow
 * one another, which Postfix asks about a recipient: domains, transport, aliases and mailboxes. A MAP
 * with a colon, as sqlite:/path, is a table that proxymap is asked for. The result is one JSON object
 * on standard output.
 */
#include "bench.h"

#define MAX_ERRORS 100 /* a server that fails so often is not measured */

static const char *address, *map, *prefix;
static long request_limit, domains, mailboxes, every, seed;
static double end_time;
static int proxied;
static atomic_long answered;
static atomic_int errors;

static const char *const WORDS[] = {"OK", "NOTFOUND", "TEMP", "TIMEOUT", "PERM"};
enum { WORD_COUNT = sizeof WORDS / sizeof *WORDS };

struct worker {
    pthread_t thread;
    int number;
    struct latencies latencies;
    long words[WORD_COUNT + 1];
};

static size_t make_request(char *out, const char *name, long number, int step) {
    char text[512];
    int size;
    if (step == 0) size = snprintf(text, sizeof text, "domains d%ld.example", number % domains);
    else size = snprintf(text, sizeof text, "%s%s%suser%ld@d%ld.example", proxied ? "" : name, proxied ? "" : " ",
                         prefix, number, number % domains);
    if (proxied) { /* the request of a postmap(1) of Postfix 3.7, attributes that end with a NUL each */
        int head = sprintf(out, "request%clookup%ctable%c%s%cflags%c524353%ckey%c", 0, 0, 0, name, 0, 0, 0, 0);
        memcpy(out + head, text, (size_t)size);
        memset(out + head + size, 0, 2);
        return (size_t)(head + size + 2);
    }
    return (size_t)sprintf(out, "%d:%s,", size, text);
}

/* Reads attributes up to their end, a NUL after a NUL; what "status" says as a place in WORDS, or -1. */
static int read_attributes(int fd) {
    char answer[4096];
    size_t size = 0;
    while (size < 2 || answer[size - 1] || answer[size - 2]) {
        ssize_t got = recv(fd, answer + size, sizeof answer - size, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return -1;
        size += (size_t)got;
    }
    if (size < 9 || memcmp(answer, "status", 7)) return WORD_COUNT; /* the greeting */
    return answer[7] == '0' ? 0 : answer[7] == '1' ? 1 : 2;
}

/* Reads one netstring; the place of its first word in WORDS, or -1. */
static int read_answer(int fd) {
    char answer[4096];
    size_t size = 0;
    for (;;) {
        ssize_t got = recv(fd, answer + size, sizeof answer - 1 - size, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return -1;
        size += (size_t)got;
        answer[size] = 0;
        char *colon = strchr(answer, ':');
        if (colon && size == (size_t)(colon - answer) + 2 + (size_t)atol(answer)) {
            for (int i = 0; i < WORD_COUNT; i++)
                if (!strncmp(colon + 1, WORDS[i], strlen(WORDS[i]))) return i;
            return WORD_COUNT;
        }
        if (size == sizeof answer - 1) return -1;
    }
}

static void fail(const char *what) {
    if (atomic_fetch_add(&errors, 1) == 0) fprintf(stderr, "socketmap: %s: %s\n", what, strerror(errno));
}

static int is_over(void) {
    return now() >= end_time || (request_limit && atomic_load(&answered) >= request_limit);
}

static void *work(void *argument) {
    static const char *const STEPS[] = {"domains", "transport", "aliases", "mailboxes"};
    struct worker *w = argument;
    char request[1024];
    int fd = -1, whole = !strcmp(map, "message");
    unsigned short state[3] = {(unsigned short)w->number, (unsigned short)seed, 0x4711};
    for (int step = 0; !is_over() && atomic_load(&errors) < MAX_ERRORS; step = (step + 1) % 4) {
        static _Thread_local long number;
        int is_new = fd < 0;
        if (fd < 0 && (fd = open_connection(address)) < 0) { fail("connect"); usleep(1000); continue; }
        if (is_new && proxied && read_attributes(fd) != WORD_COUNT) { fail("no greeting"); close(fd); fd = -1; continue; }
        is_new = 0;
        if (!whole || step == 0) number = nrand48(state) % ((mailboxes - 1) / every + 1) * every + 1;
        size_t size = make_request(request, whole ? STEPS[step] : map, number, whole ? step : 1);
        errno = 0;
        double start = now();
        int word = send_all(fd, (uint8_t *)request, size) ? -1 : proxied ? read_attributes(fd) : read_answer(fd);
        if (word < 0) { fail("no answer"); close(fd); fd = -1; continue; }
        add_latency(&w->latencies, now() - start);
        w->words[word]++;
        atomic_fetch_add(&answered, 1);
    }
    if (fd >= 0) close(fd);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 11) {
        fprintf(stderr, "socketmap ADDRESS CONNECTIONS SECONDS REQUESTS MAP PREFIX DOMAINS MAILBOXES EVERY SEED\n");
        return 2;
    }
    address = argv[1];
    int connections = atoi(argv[2]);
    double seconds = atof(argv[3]);
    request_limit = atol(argv[4]);
    map = argv[5];
    proxied = strchr(map, ':') != NULL;
    prefix = argv[6];
    domains = atol(argv[7]);
    mailboxes = atol(argv[8]);
    every = atol(argv[9]);
    seed = atol(argv[10]);
    if (strlen(map) + strlen(prefix) > 256 || domains < 1 || mailboxes < 1 || every < 1) die("the arguments");

    struct worker *workers = must(calloc((size_t)connections, sizeof *workers));
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 128 * 1024);
    double start = now();
    end_time = seconds > 0 ? start + seconds : 1e18;
    for (int i = 0; i < connections; i++) workers[i].number = i;
    for (int i = 0; i < connections; i++)
        if (pthread_create(&workers[i].thread, &small, work, &workers[i])) die("pthread_create");
    struct latencies all = {0};
    long words[WORD_COUNT + 1] = {0};
    for (int i = 0; i < connections; i++) {
        pthread_join(workers[i].thread, NULL);
        merge_latencies(&all, &workers[i].latencies);
        for (int a = 0; a <= WORD_COUNT; a++) words[a] += workers[i].words[a];
    }
    double took = now() - start;
    sort_latencies(&all);
    printf("{\"done\": %ld, \"seconds\": %.6f, \"p50\": %.6f, \"p99\": %.6f, \"errors\": %d, \"replies\": {",
           atomic_load(&answered), took, percentile(&all, .5), percentile(&all, .99), atomic_load(&errors));
    const char *between = "";
    for (int a = 0; a <= WORD_COUNT; a++)
        if (words[a]) {
            printf("%s\"%s\": %ld", between, a < WORD_COUNT ? WORDS[a] : "other", words[a]);
            between = ", ";
        }
    printf("}}\n");
    return 0;
}
