/*
 * climit: the least that a server can do here. One epoll loop that takes requests of two known lengths and answers each kind
 * with a constant: no parsing, no look-up, no copying but by the kernel. What a real server needs beyond this is its own.
 *
 * climit GET_LENGTH SET_LENGTH VALUE_LENGTH: serves Redis GETs ("*2...") and SETs ("*5...") on a free loopback port, which it prints.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_EVENTS = 256, MAX_FD = 4096, INPUT = 64 << 10, OUTPUT = 1 << 20 };

struct reply {
	char *text;
	size_t length;
};

static struct reply found, stored = {"+OK\r\n", 5};
static size_t get_length, set_length;

/* what is still to come of each connection's current request, and whether that is a SET */
static struct {
	size_t missing;
	int set;
} state[MAX_FD];

static char input[INPUT], output[OUTPUT];

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void send_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (k >= 0) {
			p += k;
			n -= k;
		} else if (errno == EAGAIN) {
			struct pollfd writable = {fd, POLLOUT, 0};
			poll(&writable, 1, -1);
		} else if (errno != EINTR) {
			return;
		}
	}
}

static void serve(int fd)
{
	ssize_t n = recv(fd, input, sizeof input, 0);
	if (n <= 0) {
		state[fd].missing = 0;
		close(fd);
		return;
	}
	size_t at = 0, end = n, out = 0;
	while (at < end) {
		if (state[fd].missing == 0) {
			/* "*2" or "*5": the sender writes whole batches, so the second byte is there but for the rarest cut */
			state[fd].set = at + 1 < end && input[at + 1] == '5';
			state[fd].missing = state[fd].set ? set_length : get_length;
		}
		size_t take = end - at < state[fd].missing ? end - at : state[fd].missing;
		at += take;
		state[fd].missing -= take;
		if (state[fd].missing > 0)
			break;
		const struct reply *r = state[fd].set ? &stored : &found;
		if (out + r->length > sizeof output) {
			send_all(fd, output, out);
			out = 0;
		}
		memcpy(output + out, r->text, r->length);
		out += r->length;
	}
	if (out > 0)
		send_all(fd, output, out);
}

static int listen_on_loopback(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof a;
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, size) || listen(fd, 1024) || getsockname(fd, (struct sockaddr *)&a, &size))
		fail("climit: listen");
	printf("%d\n", ntohs(a.sin_port));
	fflush(stdout);
	return fd;
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: climit GET_LENGTH SET_LENGTH VALUE_LENGTH\n");
		return 2;
	}
	get_length = atoi(argv[1]);
	set_length = atoi(argv[2]);
	int value = atoi(argv[3]);
	if ((found.text = malloc(value + 32)) == NULL)
		fail("climit: malloc");
	int head = sprintf(found.text, "$%d\r\n", value);
	memset(found.text + head, 'x', value);
	memcpy(found.text + head + value, "\r\n", 2);
	found.length = head + value + 2;

	int listener = listen_on_loopback(), ep = epoll_create1(0);
	struct epoll_event e = {.events = EPOLLIN, .data.fd = listener}, events[MAX_EVENTS];
	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e))
		fail("climit: epoll");
	for (;;) {
		int n = epoll_wait(ep, events, MAX_EVENTS, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd != listener) {
				serve(events[i].data.fd);
				continue;
			}
			int fd = accept(listener, NULL, NULL), one = 1;
			if (fd < 0 || fd >= MAX_FD)
				continue;
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
			e.data.fd = fd;
			epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
		}
	}
}
