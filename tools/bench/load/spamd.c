/* A stub of spamd, which reads a message and answers at once.
 *
 *   spamd PORT
 *
 * SYMBOLS gets a score and rules, PROCESS the message with two header fields on top, anything else an
 * error (spamd/PROTOCOL). A connection carries one request. It serves until it is killed.
 */
#define _GNU_SOURCE /* strcasestr() */
#include "bench.h"

#define MAX_HEAD 4096

/* Reads until `size` octets are there or, with 0, the end of the head; the size of the head or -1. */
static ssize_t fill(int fd, char **data, size_t *have, size_t *room, size_t size) {
    for (;;) {
        if (size && *have >= size) return (ssize_t)size;
        if (!size) {
            (*data)[*have] = 0;
            char *end = strstr(*data, "\r\n\r\n");
            if (end) return end + 4 - *data;
            if (*have > MAX_HEAD) return -1;
        }
        if (*have + 1 >= *room) *data = must(realloc(*data, *room *= 2));
        ssize_t got = recv(fd, *data + *have, *room - *have - 1, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return -1;
        *have += (size_t)got;
    }
}

static void *serve(void *argument) {
    int fd = (int)(intptr_t)argument;
    size_t have = 0, room = 64 * 1024;
    char *data = must(malloc(room)), head[512];
    static const char symbols[] = "BENCH_FIRST,BENCH_SECOND,BENCH_THIRD\r\n";
    static const char marks[] = "X-Spam-Checker-Version: stub\r\nX-Spam-Status: No, score=1.2\r\n";
    ssize_t head_size = fill(fd, &data, &have, &room, 0);
    char *length = head_size < 0 ? NULL : strcasestr(data, "\r\nContent-length:");
    if (length && length < data + head_size) {
        size_t size = strtoul(length + 17, NULL, 10);
        int is_process = !strncmp(data, "PROCESS", 7), is_symbols = !strncmp(data, "SYMBOLS", 7);
        if (fill(fd, &data, &have, &room, (size_t)head_size + size) >= 0) {
            const char *form = "SPAMD/1.1 0 EX_OK\r\nContent-length: %zu\r\nSpam: False ; 1.2 / 5.0\r\n\r\n%s";
            if (is_symbols) {
                int n = snprintf(head, sizeof head, form, sizeof symbols - 1, symbols);
                send_all(fd, (uint8_t *)head, (size_t)n);
            } else if (is_process) {
                int n = snprintf(head, sizeof head, form, sizeof marks - 1 + size, marks);
                send_all(fd, (uint8_t *)head, (size_t)n);
                send_all(fd, (uint8_t *)data + head_size, size);
            } else
                send_all(fd, (uint8_t *)"SPAMD/1.0 76 Bad header line\r\n", 30);
        }
    }
    free(data);
    shutdown(fd, SHUT_WR);
    close(fd);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "spamd PORT\n");
        return 2;
    }
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 256)) die("listen");
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        pthread_t thread;
        if (pthread_create(&thread, &detached, serve, (void *)(intptr_t)fd)) close(fd);
    }
}
