/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/netlink.h>

#include "netlink.h"

/* The kernel's dumps come in datagrams of up to 32 KiB (measured: 32,444 bytes); an error may quote 64 KiB. */
#define BUFFER_SIZE (64 * 1024 + 4096)
/* Room for the errors of a large transaction: 1 KiB each is what nft reckons, too. */
#define ANSWER_ROOM (4 * 1024 * 1024)
/* Room for what others do meanwhile: as nft's monitor. A transaction with 100,000 elements fits (measured). Nothing of
 * it is used while nothing waits. */
#define EVENT_ROOM (16 * 1024 * 1024)
/* A dump is answered while it is asked for: silence means that an answer was lost. */
#define ANSWER_SECONDS 10

struct netlink {
	struct transport transport;
	uint32_t sequence;
	char *buffer;
};

/* --- the socket --- */

struct wire {
	int descriptor;
	int family;
};

static ssize_t wire_send(void *data, const void *bytes, size_t length)
{
	const struct wire *wire = data;
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t sent = sendto(wire->descriptor, bytes, length, 0, (struct sockaddr *)&kernel, sizeof(kernel));

	return sent < 0 ? -errno : sent;
}

static ssize_t wire_receive(void *data, void *buffer, size_t size, bool wait, bool *truncated, bool *from_kernel)
{
	const struct wire *wire = data;
	struct sockaddr_nl sender = {0};
	struct iovec part = {.iov_base = buffer, .iov_len = size};
	struct msghdr message = {.msg_name = &sender, .msg_namelen = sizeof(sender), .msg_iov = &part, .msg_iovlen = 1};
	ssize_t received = recvmsg(wire->descriptor, &message, wait ? 0 : MSG_DONTWAIT);

	if (received < 0)
		return -errno;
	*truncated = message.msg_flags & MSG_TRUNC;
	*from_kernel = message.msg_namelen == sizeof(sender) && sender.nl_pid == 0;
	return received;
}

static void wire_reserve(void *data, size_t length)
{
	const struct wire *wire = data;
	int current = 0;
	socklen_t size = sizeof(current);
	/* The kernel doubles what is asked and takes some itself: twice the length is enough. */
	int wanted = length > INT32_MAX / 4 ? INT32_MAX / 2 : (int)length * 2;

	if (getsockopt(wire->descriptor, SOL_SOCKET, SO_SNDBUF, &current, &size) == 0 && current >= wanted)
		return;
	/* FORCE needs CAP_NET_ADMIN in the first user namespace; elsewhere wmem_max bounds it. */
	if (setsockopt(wire->descriptor, SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof(wanted)) < 0)
		setsockopt(wire->descriptor, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof(wanted));
}

static void wire_close(void *data)
{
	struct wire *wire = data;

	close(wire->descriptor);
	free(wire);
}

static int wire_listen(void *data, unsigned int group, struct transport *ret);

static int wire_open(int family, int receive_buffer, struct transport *ret, struct err *err)
{
	static const int on = 1;
	const struct timeval patience = {.tv_sec = ANSWER_SECONDS};
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	socklen_t size = sizeof(address);
	int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family);
	int code;

	if (descriptor < 0) {
		code = errno;
		err_set(err, code, ERR_NETLINK, "cannot open a netlink socket: %s", strerror(code));
		if (code == EPROTONOSUPPORT || code == EAFNOSUPPORT)
			err_hint(err,
				"this kernel has no netfilter: load it with `modprobe nfnetlink`, or use a kernel "
				"with CONFIG_NETFILTER_NETLINK");
		return -code;
	}
	if (bind(descriptor, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		getsockname(descriptor, (struct sockaddr *)&address, &size) < 0) {
		code = errno;
		close(descriptor);
		return err_set(err, code, ERR_NETLINK, "cannot bind a netlink socket: %s", strerror(code));
	}
	/* Short errors (CAP_ACK) with the kernel's own words (EXT_ACK). Where the kernel has them not, we get less. */
	setsockopt(descriptor, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	setsockopt(descriptor, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	if (setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof(receive_buffer)) < 0)
		setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
	setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));

	struct wire *wire = mem_zero(1, sizeof(*wire));

	*wire = (struct wire){descriptor, family};
	*ret = (struct transport){.send = wire_send,
		.receive = wire_receive,
		.reserve = wire_reserve,
		.listen = wire_listen,
		.close = wire_close,
		.data = wire,
		.port = address.nl_pid,
		.descriptor = descriptor};
	return 0;
}

static int wire_listen(void *data, unsigned int group, struct transport *ret)
{
	const struct wire *wire = data;
	struct transport transport;
	int number = (int)group;
	int r = wire_open(wire->family, EVENT_ROOM, &transport, NULL);

	if (r < 0)
		return r;
	if (setsockopt(transport.descriptor, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &number, sizeof(number)) < 0) {
		r = -errno;
		transport.close(transport.data);
		return r;
	}
	*ret = transport;
	return 0;
}

int netlink_open(int family, struct netlink **ret, struct err *err)
{
	struct transport transport;
	int r = wire_open(family, ANSWER_ROOM, &transport, err);

	if (r == 0)
		*ret = netlink_open_transport(&transport);
	return r;
}

int netlink_listen(const struct netlink *netlink, unsigned int group, struct netlink **ret, struct err *err)
{
	struct transport transport = {0};
	int r = -EOPNOTSUPP;

	if (netlink->transport.listen)
		r = netlink->transport.listen(netlink->transport.data, group, &transport);
	if (r < 0)
		return err_set(err, -r, ERR_NETLINK, "cannot listen to the kernel's events: %s", strerror(-r));
	*ret = netlink_open_transport(&transport);
	return 0;
}

uint32_t netlink_port(const struct netlink *netlink)
{
	return netlink->transport.port;
}

int netlink_descriptor(const struct netlink *netlink)
{
	return netlink->transport.descriptor;
}

struct netlink *netlink_open_transport(const struct transport *transport)
{
	struct netlink *netlink = mem_zero(1, sizeof(*netlink));
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	netlink->transport = *transport;
	netlink->sequence = (uint32_t)now.tv_nsec;
	netlink->buffer = mem_alloc(BUFFER_SIZE);
	return netlink;
}

void netlink_close(struct netlink *netlink)
{
	if (!netlink)
		return;
	if (netlink->transport.close)
		netlink->transport.close(netlink->transport.data);
	free(netlink->buffer);
	free(netlink);
}

double netlink_now(const struct netlink *netlink)
{
	struct timespec now;

	if (netlink->transport.now)
		return netlink->transport.now(netlink->transport.data);
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void netlink_pause(const struct netlink *netlink, long nanoseconds)
{
	if (netlink->transport.pause)
		netlink->transport.pause(netlink->transport.data, nanoseconds);
	else
		nanosleep(&(struct timespec){.tv_nsec = nanoseconds}, NULL);
}

uint32_t netlink_sequence(struct netlink *netlink)
{
	/* 0 is what notifications carry. */
	if (++netlink->sequence == 0)
		netlink->sequence = 1;
	return netlink->sequence;
}

/* --- conversation --- */

bool netlink_message_ok(const struct nlmsghdr *message, int left)
{
	return left >= (int)sizeof(*message) && message->nlmsg_len >= sizeof(*message) &&
	       message->nlmsg_len <= (uint32_t)left;
}

/* The kernel's explanation in an error message, or NULL. */
static const char *extended_text(const struct nlmsghdr *message)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);
	const struct nlattr *table[NLMSGERR_ATTR_MAX + 1] = {NULL};
	size_t offset = sizeof(*error);
	size_t length = mnl_nlmsg_get_payload_len(message);

	if (!(message->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	if (!(message->nlmsg_flags & NLM_F_CAPPED)) {
		if (error->msg.nlmsg_len < sizeof(error->msg))
			return NULL;
		offset += MNL_ALIGN(error->msg.nlmsg_len - sizeof(error->msg));
	}
	if (offset > length)
		return NULL;
	/* Newer kernels may add types that we do not know; only the text matters here. */
	netlink_attributes((const char *)error + offset, length - offset, table, ARRAY_SIZE(table));
	return netlink_string(table[NLMSGERR_ATTR_MSG]);
}

static int error_code(const struct nlmsghdr *message)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);

	if (mnl_nlmsg_get_payload_len(message) < sizeof(*error))
		return -EBADMSG;
	return error->error > 0 ? -EBADMSG : error->error;
}

/* A dump may end in failure (libmnl reports that as a clean stop). */
static int done_code(const struct nlmsghdr *message)
{
	int code;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(code))
		return 0;
	memcpy(&code, mnl_nlmsg_get_payload(message), sizeof(code));
	return code > 0 ? -EBADMSG : code;
}

static int receive(struct netlink *netlink, bool wait, size_t *ret_length, struct err *err)
{
	for (;;) {
		bool truncated = false;
		bool from_kernel = false;
		ssize_t received = netlink->transport.receive(
			netlink->transport.data, netlink->buffer, BUFFER_SIZE, wait, &truncated, &from_kernel);

		if (received == -EINTR)
			continue;
		if (received == -EAGAIN && wait)
			return err_set(err, ETIMEDOUT, ERR_NETLINK, "the kernel did not answer within %d seconds",
				ANSWER_SECONDS);
		if (received == -ENOBUFS || received == -EAGAIN)
			return (int)received;
		if (received < 0)
			return err_set(err, (int)-received, ERR_NETLINK, "cannot receive from the kernel: %s",
				strerror((int)-received));
		if (!from_kernel)
			continue;
		if (truncated)
			return err_set(err, EMSGSIZE, ERR_NETLINK,
				"the kernel sent a datagram larger than %d bytes: please report this", BUFFER_SIZE);
		*ret_length = (size_t)received;
		return 0;
	}
}

static int send_bytes(struct netlink *netlink, const void *bytes, size_t length, struct err *err)
{
	ssize_t sent;

	do
		sent = netlink->transport.send(netlink->transport.data, bytes, length);
	while (sent == -EINTR);
	if (sent == -EMSGSIZE) {
		char number[32];

		err_set(err, EMSGSIZE, ERR_NETLINK,
			"one transaction of %s does not fit into the netlink socket's send buffer",
			format_bytes(number, length));
		err_hint(err,
			"raise the limit with `sysctl -w net.core.wmem_max=%zu` (on the host, where this is a "
			"container), or run as root of the host, who needs no limit",
			length * 2);
		return -EMSGSIZE;
	}
	/* Of a message that was never sent (netlink_sendmsg found no memory), not of an answer that was lost. */
	if (sent == -ENOBUFS)
		sent = -ENOMEM;
	if (sent < 0)
		return err_set(err, (int)-sent, ERR_NETLINK, "cannot send to the kernel: %s", strerror((int)-sent));
	return 0;
}

/*
 * Fetches what is left of an answer. As long as a dump has not been fetched to its end the kernel goes on with it, a
 * piece for each datagram that is taken, and refuses to begin another one (EBUSY). All pieces are there at once, so
 * there is nothing to wait for.
 */
static void drain(struct netlink *netlink, uint32_t sequence)
{
	unsigned int patience = 100; /* with buffers that overflow */

	for (;;) {
		size_t length = 0;
		int r = receive(netlink, false, &length, NULL);
		const struct nlmsghdr *message = (const struct nlmsghdr *)netlink->buffer;

		if (r == -ENOBUFS && patience-- > 0)
			continue;
		if (r < 0)
			return;
		for (int left = (int)length; netlink_message_ok(message, left);
			message = mnl_nlmsg_next(message, &left))
			if (message->nlmsg_seq == sequence &&
				(message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR))
				return;
	}
}

/* `ret_ended` tells that the last message of the answer was among those heard. */
static int hear_answer(struct netlink *netlink, const struct nlmsghdr *request, netlink_message *callback, void *data,
	bool *ret_ended, struct err *err)
{
	bool torn = false;
	int r = 0;

	while (r == 0) {
		size_t length = 0;

		r = receive(netlink, true, &length, err);
		if (r == -ENOBUFS)
			return err_set(err, ENOBUFS, ERR_NETLINK, "answers of the kernel were lost");
		if (r < 0)
			return r;
		int left = (int)length;
		const struct nlmsghdr *message = (const struct nlmsghdr *)netlink->buffer;

		for (; netlink_message_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
			/* Left over from a request that ended early. */
			if (message->nlmsg_seq != request->nlmsg_seq ||
				(netlink->transport.port && message->nlmsg_pid != netlink->transport.port))
				continue;
			if (message->nlmsg_flags & NLM_F_DUMP_INTR)
				torn = true;
			if (message->nlmsg_type == NLMSG_OVERRUN)
				return err_set(err, ENOBUFS, ERR_NETLINK, "answers of the kernel were lost");
			if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) {
				bool done = message->nlmsg_type == NLMSG_DONE;
				const char *text = done ? NULL : extended_text(message);

				*ret_ended = true;
				r = done ? done_code(message) : error_code(message);
				if (r == 0)
					return torn ? -EINTR : 0;
				if (r != -EINTR && r != -ENOENT)
					err_set(err, -r, ERR_NETLINK, "the kernel answered: %s%s%s", strerror(-r),
						text ? ": " : "", text ? text : "");
				return r;
			}
			if (message->nlmsg_type < NLMSG_MIN_TYPE)
				continue;
			r = callback ? callback(data, message) : 0;
			if (r < 0)
				return r;
		}
	}
	return r;
}

int netlink_request(
	struct netlink *netlink, const struct nlmsghdr *request, netlink_message *callback, void *data, struct err *err)
{
	bool ended = false;
	int r = send_bytes(netlink, request, request->nlmsg_len, err);

	if (r < 0)
		return r;
	r = hear_answer(netlink, request, callback, data, &ended, err);
	if (!ended)
		drain(netlink, request->nlmsg_seq);
	return r;
}

int netlink_hear_one(struct netlink *netlink, netlink_message *callback, void *data, struct err *err)
{
	size_t length = 0;
	int r = receive(netlink, false, &length, NULL);
	int left = (int)length;
	const struct nlmsghdr *message = (const struct nlmsghdr *)netlink->buffer;

	if (r == -EMSGSIZE)
		return -EBADMSG;
	if (r == -ENOBUFS || r == -EAGAIN)
		return r;
	if (r < 0)
		return err_set(err, -r, ERR_NETLINK, "cannot hear the kernel's events: %s", strerror(-r));
	for (; netlink_message_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
		r = callback(data, message);
		if (r < 0)
			return r;
	}
	return left > 0 ? -EBADMSG : 0;
}

int netlink_hear(struct netlink *netlink, netlink_message *callback, void *data, struct err *err)
{
	int r;

	do
		r = netlink_hear_one(netlink, callback, data, err);
	while (r == 0);
	return r == -EAGAIN ? 0 : r;
}

int netlink_batch(struct netlink *netlink, const void *bytes, size_t length, netlink_refusal *callback, void *data,
	struct err *err)
{
	uint32_t first = ((const struct nlmsghdr *)bytes)->nlmsg_seq;
	bool refused = false;
	bool lost = false;
	int r;

	if (netlink->transport.reserve)
		netlink->transport.reserve(netlink->transport.data, length);
	r = send_bytes(netlink, bytes, length, err);
	if (r < 0)
		return r;
	/* The transaction ran inside the send: all errors there will ever be are waiting by now. */
	for (;;) {
		size_t received = 0;

		r = receive(netlink, false, &received, err);
		if (r == -EAGAIN)
			break;
		if (r < 0)
			lost = true;
		if (r == -ENOBUFS)
			continue;
		/* Whatever cannot be received may have been an error, or not: it is no reason to say "refused". */
		if (r < 0)
			break;
		int left = (int)received;
		const struct nlmsghdr *message = (const struct nlmsghdr *)netlink->buffer;

		for (; netlink_message_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
			/* Errors of earlier requests are none of ours. */
			if (message->nlmsg_type != NLMSG_ERROR ||
				message->nlmsg_seq - first > netlink->sequence - first)
				continue;
			int code = error_code(message);

			if (code == 0)
				continue;
			refused = true;
			if (callback)
				callback(data, message->nlmsg_seq, -code, extended_text(message));
		}
	}
	/* An error that was heard is certain: a transaction with one error stores nothing. */
	if (refused)
		return -EREMOTEIO;
	return lost ? -ENOBUFS : 0;
}

/* --- attributes --- */

static bool is_zero(const struct nlattr *attribute)
{
	const char *byte = mnl_attr_get_payload(attribute);

	for (size_t i = 0; i < mnl_attr_get_payload_len(attribute); i++)
		if (byte[i])
			return false;
	return true;
}

bool netlink_attributes(const void *payload, size_t length, const struct nlattr **table, size_t count)
{
	const struct nlattr *attribute = payload;
	int left = (int)length;
	bool known = true;

	memset(table, 0, count * sizeof(*table));
	for (; mnl_attr_ok(attribute, left);
		left -= (int)MNL_ALIGN(attribute->nla_len), attribute = mnl_attr_next(attribute)) {
		unsigned int type = mnl_attr_get_type(attribute);

		if (type >= count)
			known = known && is_zero(attribute);
		else if (table[type])
			known = false;
		else
			table[type] = attribute;
	}
	return known && left <= 0;
}

bool netlink_well_formed(const void *payload, size_t length)
{
	const struct nlattr *attribute = payload;
	int left = (int)length;

	for (; mnl_attr_ok(attribute, left);
		left -= (int)MNL_ALIGN(attribute->nla_len), attribute = mnl_attr_next(attribute))
		;
	return left <= 0;
}

bool netlink_nest(const struct nlattr *nest, const struct nlattr **table, size_t count)
{
	if (!nest) {
		memset(table, 0, count * sizeof(*table));
		return false;
	}
	return netlink_attributes(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest), table, count);
}

const char *netlink_string(const struct nlattr *attribute)
{
	if (!attribute || !mnl_attr_get_payload_len(attribute))
		return NULL;
	const char *string = mnl_attr_get_payload(attribute);

	return memchr(string, '\0', mnl_attr_get_payload_len(attribute)) ? string : NULL;
}

bool netlink_u32(const struct nlattr *attribute, uint32_t *ret)
{
	uint32_t number;

	if (!attribute || mnl_attr_get_payload_len(attribute) != sizeof(number))
		return false;
	memcpy(&number, mnl_attr_get_payload(attribute), sizeof(number));
	*ret = be32toh(number);
	return true;
}

bool netlink_u64(const struct nlattr *attribute, uint64_t *ret)
{
	uint64_t number;

	if (!attribute || mnl_attr_get_payload_len(attribute) != sizeof(number))
		return false;
	memcpy(&number, mnl_attr_get_payload(attribute), sizeof(number));
	*ret = be64toh(number);
	return true;
}
