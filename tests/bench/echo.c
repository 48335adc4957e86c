/* The floor: sends datagrams back, as a response of one address would be, by batches. Usage: echo PORT */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { BATCH = 64, SLOT = 4096, ROUNDS = 8, BODY = 16, BUFFER = 4 << 20 };

static unsigned char boxes[BATCH][SLOT];
static struct sockaddr_in names[BATCH];
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];

static void respond(int k, size_t octets) {
    static const unsigned char body[BODY] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 10, 0, 0, 1};
    boxes[k][2] |= 0x84;
    boxes[k][7] = 1;
    memcpy(boxes[k] + octets, body, BODY);
    vectors[k].iov_len = octets + BODY;
}

int main(int count, char **arguments) {
    struct sockaddr_in address = {AF_INET, htons(count > 1 ? atoi(arguments[1]) : 0), {htonl(INADDR_LOOPBACK)}};
    int sock = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0), size = BUFFER;
    struct epoll_event event = {.events = EPOLLIN};
    setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (bind(sock, (struct sockaddr *)&address, sizeof address) || epoll_ctl(poll, EPOLL_CTL_ADD, sock, &event))
        return 1;
    for (;;) {
        epoll_wait(poll, &event, 1, -1);
        for (int round = 0, received = BATCH; round < ROUNDS && received == BATCH; round++) {
            for (int k = 0; k < BATCH; k++) {
                vectors[k] = (struct iovec){boxes[k], SLOT - BODY};
                messages[k].msg_hdr = (struct msghdr){
                    .msg_name = &names[k], .msg_namelen = sizeof names[k], .msg_iov = &vectors[k], .msg_iovlen = 1};
            }
            received = recvmmsg(sock, messages, BATCH, 0, 0);
            for (int k = 0; k < received; k++)
                respond(k, messages[k].msg_len);
            for (int sent = 0, step; sent < received; sent += step > 0 ? step : 1)
                step = sendmmsg(sock, messages + sent, received - sent, 0);
        }
    }
}
