/* A load generator for policy servers (Postfix's SMTPD_POLICY_README).
 *
 *   policy ADDRESS CONNECTIONS IDLE SECONDS REQUESTS TEMPLATE FIRST RANGE RATE
 *
 * CONNECTIONS threads keep a connection each and ask one request after the other, until SECONDS
 * have passed or REQUESTS were answered (0: no such limit). IDLE further connections are opened
 * before and only stay open. TEMPLATE is a file with one request; in it
 *   {network}  becomes the first three octets of an IPv4 address and {word} a word of letters, both
 * made from the index of the triplet: triplets differ in client network, sender and recipient. The
 * indexes go from FIRST on; with RANGE they come round again after so many, in an order that looks
 * random (0: each is new). With a RATE, so many requests a second become due at random times, whatever
 * the server does, and the time of each is counted from when it was due (0: the next is due when the
 * one before was answered). The result is one JSON object on standard output.
 */
#include <math.h>

#include "bench.h"

#define MAX_REQUEST 8192
#define MAX_ERRORS 100 /* a server that fails so often is not measured */
#define STRIDE 7919    /* a prime that is no factor of any RANGE used: visits every index */

static const char *address;
static char *template;
static long request_limit, first, range;
static double end_time, rate;
static int connections;
static atomic_long next_request, answered;
static atomic_int errors, finished;

/* first words of the actions */
static const char *const ACTIONS[] = {"DUNNO", "PREPEND", "DEFER_IF_PERMIT", "DEFER", "450", "451", "OK", "550", "554"};
enum { ACTION_COUNT = sizeof ACTIONS / sizeof *ACTIONS };

struct worker {
    pthread_t thread;
    int number;
    struct latencies latencies;
    long actions[ACTION_COUNT + 1];
};

static size_t make_request(char *out, long index) {
    char *end = out;
    for (const char *p = template; *p;) {
        if (*p != '{') { *end++ = *p++; continue; }
        if (!strncmp(p, "{network}", 9)) {
            unsigned low = (unsigned)(index * 40503L) & 0xffff; /* neighbours lie far apart */
            end += sprintf(end, "%ld.%u.%u", 11 + (index >> 16) % 100, low >> 8, low & 0xff);
            p += 9;
        } else if (!strncmp(p, "{word}", 6)) {
            /* no digits: greylisting of some servers takes numbers in an address for equal */
            for (long rest = index + 26; rest; rest /= 26) *end++ = (char)('a' + rest % 26);
            p += 6;
        }
        else *end++ = *p++;
    }
    return (size_t)(end - out);
}

/* Reads the answer up to its empty line; its action's place in ACTIONS, or -1. */
static int read_answer(int fd) {
    char answer[2048];
    size_t size = 0;
    for (;;) {
        ssize_t got = recv(fd, answer + size, sizeof answer - 1 - size, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return -1;
        size += (size_t)got;
        answer[size] = 0;
        if (size >= 2 && answer[size - 1] == '\n' && answer[size - 2] == '\n') break;
        if (size == sizeof answer - 1) return -1;
    }
    const char *action = strstr(answer, "action=");
    if (!action) return -1;
    for (int i = 0; i < ACTION_COUNT; i++)
        if (!strncasecmp(action + 7, ACTIONS[i], strlen(ACTIONS[i]))) return i;
    return ACTION_COUNT;
}

static void fail(const char *what) {
    if (atomic_fetch_add(&errors, 1) == 0) fprintf(stderr, "policy: %s: %s\n", what, strerror(errno));
}

static void wait_until(double time) {
    struct timespec until = {(time_t)time, (long)((time - (double)(time_t)time) * 1e9)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {}
}

static int is_over(void) { return atomic_load(&finished) || now() >= end_time; }

static void *work(void *argument) {
    struct worker *w = argument;
    char request[MAX_REQUEST];
    int fd = -1;
    unsigned short seed[3] = {(unsigned short)w->number, 0x330e, 0x4711};
    double due = now();
    while (!is_over() && atomic_load(&errors) < MAX_ERRORS) {
        if (fd < 0 && (fd = open_connection(address)) < 0) { fail("connect"); usleep(1000); continue; }
        long index = atomic_fetch_add(&next_request, 1);
        if (request_limit && index >= request_limit) { atomic_store(&finished, 1); break; }
        size_t size = make_request(request, first + (range ? index * STRIDE % range : index));
        errno = 0;
        double start = now();
        if (rate > 0) { /* a thread in CONNECTIONS has so many times fewer, and apart at random */
            due += -log(1 - erand48(seed)) * connections / rate;
            wait_until(due);
            start = due;
        }
        int action = send_all(fd, (uint8_t *)request, size) ? -1 : read_answer(fd);
        if (action < 0) { fail("no answer"); close(fd); fd = -1; continue; }
        add_latency(&w->latencies, now() - start);
        w->actions[action]++;
        atomic_fetch_add(&answered, 1);
    }
    if (fd >= 0) close(fd);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 10) {
        fprintf(stderr, "policy ADDRESS CONNECTIONS IDLE SECONDS REQUESTS TEMPLATE FIRST RANGE RATE\n");
        return 2;
    }
    address = argv[1];
    connections = atoi(argv[2]);
    int idle = atoi(argv[3]);
    double seconds = atof(argv[4]);
    request_limit = atol(argv[5]);
    size_t size;
    template = (char *)read_file(argv[6], &size);
    template[size] = 0;
    if (size > MAX_REQUEST - 256) die("the template is too long");
    first = atol(argv[7]);
    range = atol(argv[8]);
    rate = atof(argv[9]);
    for (int i = 0; i < idle; i++)
        if (open_connection(address) < 0) die("an idle connection");

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
    long actions[ACTION_COUNT + 1] = {0};
    for (int i = 0; i < connections; i++) {
        pthread_join(workers[i].thread, NULL);
        merge_latencies(&all, &workers[i].latencies);
        for (int a = 0; a <= ACTION_COUNT; a++) actions[a] += workers[i].actions[a];
    }
    double took = now() - start;
    sort_latencies(&all);
    printf("{\"done\": %ld, \"seconds\": %.6f, \"p50\": %.6f, \"p99\": %.6f, \"errors\": %d, \"replies\": {",
           atomic_load(&answered), took, percentile(&all, .5), percentile(&all, .99), atomic_load(&errors));
    const char *between = "";
    for (int a = 0; a <= ACTION_COUNT; a++)
        if (actions[a]) {
            printf("%s\"%s\": %ld", between, a < ACTION_COUNT ? ACTIONS[a] : "other", actions[a]);
            between = ", ";
        }
    printf("}}\n");
    return 0;
}
