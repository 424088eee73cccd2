/* What both load generators need: clocks, latencies, sockets, reading a whole file. */
#ifndef GATEPOST_BENCH_H
#define GATEPOST_BENCH_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : "not what was expected");
    exit(1);
}

static void *must(void *memory) {
    if (!memory) die("out of memory");
    return memory;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* ---- latencies: all of them are kept, so that a percentile is exact ---- */

struct latencies {
    float *seconds;
    size_t count, room;
};

static void add_latency(struct latencies *l, double seconds) {
    if (l->count == l->room) {
        l->room = l->room ? l->room * 2 : 4096;
        l->seconds = must(realloc(l->seconds, l->room * sizeof *l->seconds));
    }
    l->seconds[l->count++] = (float)seconds;
}

static int by_size(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double percentile(const struct latencies *sorted, double part) {
    if (!sorted->count) return 0;
    size_t at = (size_t)(part * (double)sorted->count);
    return sorted->seconds[at < sorted->count ? at : sorted->count - 1];
}

/* Puts all into the first one, sorted. */
static void merge_latencies(struct latencies *into, const struct latencies *from) {
    for (size_t i = 0; i < from->count; i++) add_latency(into, from->seconds[i]);
}

static void sort_latencies(struct latencies *l) {
    if (l->count) qsort(l->seconds, l->count, sizeof *l->seconds, by_size);
}

/* ---- addresses: "unix:/path" or "inet:PORT" on the loopback address, as Postfix's clients ---- */

static int open_connection(const char *address) {
    int fd;
    if (!strncmp(address, "unix:", 5)) {
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        snprintf(to.sun_path, sizeof to.sun_path, "%s", address + 5);
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        if (fd < 0) die("socket");
        /* a full backlog is EAGAIN on a unix socket, even a blocking one may meet it */
        while (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
            if (errno != EAGAIN && errno != EINTR) { close(fd); return -1; }
            usleep(200);
        }
        return fd;
    }
    if (strncmp(address, "inet:", 5)) die(address);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(address + 5))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) die("socket");
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) { close(fd); return -1; }
    return fd;
}

static int send_all(int fd, const uint8_t *data, size_t size) {
    while (size) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return -1;
        data += sent;
        size -= (size_t)sent;
    }
    return 0;
}

static uint8_t *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) die(path);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = must(malloc(*size + 1));
    if (fread(data, 1, *size, file) != *size) die(path);
    fclose(file);
    return data;
}

#endif
