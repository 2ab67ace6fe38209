/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Connections for dflyguard-probe, which may make none. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "probe.h"

static socklen_t fill_address(const struct probe_target *target, struct sockaddr_storage *ret)
{
	bool any = target->address.hi == 0 && target->address.lo == 0;

	memset(ret, 0, sizeof(*ret));
	if (target->width == WIDTH_IPV4) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)ret;

		v4->sin_family = AF_INET;
		v4->sin_port = htons(target->port);
		v4->sin_addr.s_addr = htonl(any ? INADDR_LOOPBACK : (uint32_t)target->address.lo);
		return sizeof(*v4);
	}
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(target->port);
	if (any)
		v6->sin6_addr = in6addr_loopback;
	else
		value_to_bytes(WIDTH_IPV6, target->address, &v6->sin6_addr);
	return sizeof(*v6);
}

static void begin(struct probe_target *target)
{
	struct sockaddr_storage address;
	socklen_t length = fill_address(target, &address);

	target->code = -EINPROGRESS;
	target->descriptor = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
	if (target->descriptor < 0)
		target->code = -errno;
	else if (connect(target->descriptor, (struct sockaddr *)&address, length) == 0)
		target->code = 0;
	else if (errno != EINPROGRESS)
		target->code = -errno;
}

static void hear_result(struct probe_target *target)
{
	socklen_t length = sizeof(int);
	int error = 0;

	if (getsockopt(target->descriptor, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		error = errno;
	target->code = -error;
}

static void finish(struct probe_target *target)
{
	if (target->code == -EINPROGRESS)
		target->code = -ETIMEDOUT;
	if (target->code < 0 && target->descriptor >= 0) {
		close(target->descriptor);
		target->descriptor = -1;
	}
}

void probe_connect(struct probe_target *targets, size_t count, unsigned int milliseconds)
{
	_cleanup_free_ struct pollfd *polled = mem_zero(count, sizeof(*polled));
	int64_t deadline = clock_milliseconds() + milliseconds;

	for (size_t i = 0; i < count; i++)
		begin(&targets[i]);
	for (;;) {
		int64_t left = deadline - clock_milliseconds();
		size_t waiting = 0;

		for (size_t i = 0; i < count; i++) {
			bool waits = targets[i].code == -EINPROGRESS;

			/* poll() leaves out what is negative. */
			polled[i] = (struct pollfd){.fd = waits ? targets[i].descriptor : -1, .events = POLLOUT};
			waiting += waits;
		}
		if (!waiting || left <= 0)
			break;
		if (poll(polled, count, (int)left) <= 0)
			continue;
		for (size_t i = 0; i < count; i++)
			if (polled[i].fd >= 0 && polled[i].revents)
				hear_result(&targets[i]);
	}
	for (size_t i = 0; i < count; i++)
		finish(&targets[i]);
}
