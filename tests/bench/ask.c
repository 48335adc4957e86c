/* A load that saturates: asks by batches, and so as much as a server answers, which dnsperf on one CPU does not.
 *
 * Usage: ask PORT FILE SECONDS OUTSTANDING PASSES RCODE SKIP. The file has queries behind their lengths, 16 bits
 * each; so many are skipped at first. 0 passes: until the time is over. Prints responses, their octets, queries
 * lost, and nanoseconds.
 * It ends with 1 at a response that is none to a query under way, or of another RCODE. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 64, SLOT = 4096, MOST = 4096, BUFFER = 4 << 20, LOST_AFTER = 500000000 };

static unsigned char *file, *at, *end, boxes[BATCH][SLOT], ids[MOST][2];
static long sent_at[MOST]; /* Of the query under way with this id; 0: there is none. */
static int unused[MOST], spare;
static struct iovec questions[BATCH][2], slots[BATCH];
static struct mmsghdr queries[BATCH], responses[BATCH];
static long passes, asked, answered, octets, lost;

static long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000L + time.tv_nsec;
}

static void read_queries(const char *path) {
    FILE *in = fopen(path, "rb");
    if (!in || fseek(in, 0, SEEK_END))
        exit(2);
    long size = ftell(in);
    file = malloc(size);
    rewind(in);
    if (!file || size < 2 || fread(file, 1, size, in) != (size_t)size)
        exit(2);
    at = file, end = file + size;
}

static int next(void) {
    int length = at[0] << 8 | at[1];
    at += 2 + length;
    if (at < end)
        return length;
    at = file;
    passes--;
    return length;
}

static void ask(int sock, long time) {
    int count = 0;
    while (count < BATCH && count < spare && passes != 0) {
        int id = unused[spare - 1 - count];
        unsigned char *query = at + 2;
        questions[count][0] = (struct iovec){ids[id], 2};
        questions[count][1] = (struct iovec){query + 2, next() - 2};
        queries[count].msg_hdr = (struct msghdr){.msg_iov = questions[count], .msg_iovlen = 2};
        sent_at[id] = time;
        count++;
    }
    spare -= count;
    asked += count;
    for (int sent = 0, step; sent < count; sent += step > 0 ? step : 0)
        step = sendmmsg(sock, queries + sent, count - sent, 0);
}

static int take(int sock, int rcode) {
    int count = recvmmsg(sock, responses, BATCH, MSG_DONTWAIT, 0);
    for (int k = 0; k < count; k++) {
        int id = boxes[k][0] << 8 | boxes[k][1];
        if (id >= MOST || !sent_at[id] || !(boxes[k][2] & 0x80) || (boxes[k][3] & 15) != rcode) {
            fprintf(stderr, "a response with id %d and rcode %d\n", id, boxes[k][3] & 15);
            exit(1);
        }
        sent_at[id] = 0;
        unused[spare++] = id;
        octets += responses[k].msg_len;
        answered++;
    }
    return count;
}

static void give_up(int outstanding, long before) {
    for (int id = 0; id < outstanding; id++)
        if (sent_at[id] && sent_at[id] < before) {
            sent_at[id] = 0;
            unused[spare++] = id;
            lost++;
        }
}

int main(int count, char **arguments) {
    if (count != 8)
        return 2;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(atoi(arguments[1])), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int sock = socket(AF_INET, SOCK_DGRAM, 0), size = BUFFER, outstanding = atoi(arguments[4]);
    int rcode = atoi(arguments[6]);
    read_queries(arguments[2]);
    for (int skip = atoi(arguments[7]); skip; skip--)
        next();
    passes = atoi(arguments[5]) ? atoi(arguments[5]) : -1;
    long began = now(), until = began + atof(arguments[3]) * 1e9, looked = began, time;
    setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (outstanding > MOST || connect(sock, (struct sockaddr *)&address, sizeof address))
        return 2;
    for (int id = 0; id < outstanding; id++) {
        ids[id][0] = id >> 8, ids[id][1] = id & 255;
        unused[spare++] = id;
    }
    for (int k = 0; k < BATCH; k++) {
        slots[k] = (struct iovec){boxes[k], SLOT};
        responses[k].msg_hdr = (struct msghdr){.msg_iov = &slots[k], .msg_iovlen = 1};
    }
    while ((time = now()) < until && (passes || spare < outstanding)) {
        if (spare)
            ask(sock, time);
        if (take(sock, rcode) <= 0)
            sched_yield();
        if (time - looked > LOST_AFTER / 5) {
            give_up(outstanding, time - LOST_AFTER);
            looked = time;
        }
    }
    printf("%ld %ld %ld %ld\n", answered, octets, lost, time - began);
    return 0;
}
