/* A DNS server that costs next to nothing, so that it takes no core from the servers it serves.
 *
 *   dns HOST PORT TABLE COUNTER
 *
 * Answers UDP questions from a table that tools/bench/dns.py made beforehand. A label of `d` and digits in
 * a question stands for `d0` in the table: as many domains as one wants, each new to every cache.
 * The number of questions is kept in the first 8 octets of the file COUNTER.
 *
 * The table: entries of u16 size of the name, the name as on the wire in lower case, u16 type (0: the
 * name exists), u8 rcode, u16 answers, u16 authorities, u16 size of the records, the records. An
 * empty name is the answer to all that is not in the table. Numbers are little-endian.
 */
#include "bench.h"
#include <sys/mman.h>
#include <fcntl.h>

#define MAX_ENTRIES 256

struct entry {
    const uint8_t *name, *records;
    uint16_t name_size, type, answers, authorities, records_size;
    uint8_t rcode;
} entries[MAX_ENTRIES];
static size_t entry_count;

static uint16_t u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static void put16(uint8_t *p, unsigned n) { p[0] = (uint8_t)(n >> 8); p[1] = (uint8_t)n; }

static void read_table(const char *path) {
    size_t size;
    const uint8_t *p = read_file(path, &size), *end = p + size;
    while (p < end) {
        if (entry_count == MAX_ENTRIES) die("too many entries");
        struct entry *e = &entries[entry_count++];
        e->name_size = u16(p); e->name = p + 2; p += 2 + e->name_size;
        e->type = u16(p); e->rcode = p[2];
        e->answers = u16(p + 3); e->authorities = u16(p + 5); e->records_size = u16(p + 7);
        e->records = p + 9; p += 9 + e->records_size;
    }
}

static const struct entry *find(const uint8_t *name, size_t size, unsigned type) {
    for (size_t i = 0; i < entry_count; i++)
        if (entries[i].name_size == size && entries[i].type == type && !memcmp(entries[i].name, name, size))
            return &entries[i];
    return NULL;
}

/* The name of a question in the table's form; the octets read, 0 for one that is not well formed. */
static size_t read_name(const uint8_t *p, const uint8_t *end, uint8_t *name, size_t *name_size) {
    const uint8_t *start = p;
    *name_size = 0;
    for (;;) {
        if (p >= end || *p > 63 || p + 1 + *p > end || *name_size + 2u + *p > 255) return 0;
        size_t label = *p, digits = 1;
        while (digits < label && p[1 + digits] >= '0' && p[1 + digits] <= '9') digits++;
        if (label > 1 && (p[1] | 0x20) == 'd' && digits == label) {
            memcpy(name + *name_size, "\2d0", 3);
            *name_size += 3;
        } else {
            name[(*name_size)++] = (uint8_t)label;
            for (size_t i = 1; i <= label; i++)
                name[(*name_size)++] = p[i] >= 'A' && p[i] <= 'Z' ? p[i] | 0x20 : p[i];
        }
        p += 1 + label;
        if (!label) return (size_t)(p - start);
    }
}

int main(int argc, char **argv) {
    if (argc != 5) { fprintf(stderr, "dns HOST PORT TABLE COUNTER\n"); return 2; }
    read_table(argv[3]);
    int file = open(argv[4], O_RDWR | O_CREAT, 0644);
    if (file < 0 || ftruncate(file, 8)) die(argv[4]);
    volatile uint64_t *counter = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (counter == MAP_FAILED) die("mmap");
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
    if (inet_pton(AF_INET, argv[1], &at.sin_addr) != 1) die(argv[1]);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at)) die("bind");
    for (;;) {
        uint8_t packet[4096], name[256];
        struct sockaddr_storage from;
        socklen_t from_size = sizeof from;
        ssize_t got = recvfrom(fd, packet, 1024, 0, (struct sockaddr *)&from, &from_size);
        size_t name_size, read = 0;
        if (got > 17) read = read_name(packet + 12, packet + got - 4, name, &name_size);
        if (!read) continue;
        ++*counter;
        uint8_t *behind = packet + 12 + read + 4;
        unsigned type = (unsigned)(behind[-4] << 8 | behind[-3]);
        const struct entry *e = find(name, name_size, type);
        if (!e) e = find(name, name_size, 0);
        if (!e) e = find(name, 0, 0);
        if (!e) continue;
        packet[2] = 0x84 | (packet[2] & 1); /* QR, AA, RD as asked */
        packet[3] = 0x80 | e->rcode;        /* RA */
        put16(packet + 4, 1);
        put16(packet + 6, e->answers);
        put16(packet + 8, e->authorities);
        put16(packet + 10, 0);
        memcpy(behind, e->records, e->records_size);
        sendto(fd, packet, (size_t)(behind - packet) + e->records_size, 0, (struct sockaddr *)&from, from_size);
    }
}
