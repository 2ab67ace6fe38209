/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Connections to a TLS port that say nothing. The gate cannot judge what was not said, and the server waits for it
 * without end, so they are ended from outside: sock_diag lists the sockets of this network namespace, and destroys one
 * as if its owner had closed it hard (SOCK_DESTROY, tcp_abort() in net/ipv4/tcp.c): the client gets a reset, the server
 * an error from its next call.
 *
 * What is asked of each is its struct tcp_info: nothing was received, and since the connection is established (which
 * sets lrcvtime in tcp_create_openreq_child(), as every segment with data does) so many milliseconds have passed.
 * Sockets in SYN_RECV are left alone: they have no tcp_info, and the kernel gives them up on its own.
 */

#include <errno.h>
#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>

#include "netlink.h"
#include "watch.h"

/* As in include/net/tcp_states.h, which is not for programs. */
#define STATE_ESTABLISHED 1u
#define STATE_LISTEN	  10u

/* Ended at once; more of them at the next time. */
#define VICTIMS 1024

struct search {
	uint32_t limit; /* milliseconds */
	bool listening; /* somebody serves this port: connections of it are not our own to elsewhere */
	struct victim {
		uint8_t family;
		struct inet_diag_sockid id;
	} victims[VICTIMS];
	size_t count;
};

size_t silent_ports(const struct policy *policy, const struct environment *environment, uint16_t ports[static 3])
{
	const struct service *service = &policy->service;
	size_t count = 0;

	if (service->tls_port && environment->tls != TLS_OFF)
		ports[count++] = service->tls_port;
	if (service->admin_port && environment->admin_tls == ADMIN_TLS_REQUIRED)
		ports[count++] = service->admin_port;
	if (service->memcached_port && environment->tls == TLS_REQUIRED)
		ports[count++] = service->memcached_port;
	return count;
}

static bool is_silent(const struct search *search, const struct tcp_info *info)
{
	return info->tcpi_bytes_received == 0 && info->tcpi_last_data_recv >= search->limit;
}

static int hear_socket(void *data, const struct nlmsghdr *message)
{
	struct search *search = data;
	const struct inet_diag_msg *socket = mnl_nlmsg_get_payload(message);
	size_t length = mnl_nlmsg_get_payload_len(message);
	const struct nlattr *table[INET_DIAG_INFO + 1];
	struct tcp_info info = {0};

	if (message->nlmsg_type != SOCK_DIAG_BY_FAMILY || length < sizeof(*socket))
		return -EBADMSG;
	if (socket->idiag_state == STATE_LISTEN)
		search->listening = true;
	if (socket->idiag_state != STATE_ESTABLISHED || search->count == VICTIMS)
		return 0;
	netlink_attributes((const char *)socket + MNL_ALIGN(sizeof(*socket)), length - MNL_ALIGN(sizeof(*socket)),
		table, ARRAY_SIZE(table));
	/* Kernels before 4.1 did not count what was received. */
	if (!table[INET_DIAG_INFO] ||
		mnl_attr_get_payload_len(table[INET_DIAG_INFO]) <
			offsetof(struct tcp_info, tcpi_bytes_received) + sizeof(info.tcpi_bytes_received))
		return 0;
	length = mnl_attr_get_payload_len(table[INET_DIAG_INFO]);
	memcpy(&info, mnl_attr_get_payload(table[INET_DIAG_INFO]), length < sizeof(info) ? length : sizeof(info));
	if (is_silent(search, &info))
		search->victims[search->count++] = (struct victim){.family = socket->idiag_family, .id = socket->id};
	return 0;
}

static int request(struct netlink *netlink, uint16_t type, uint16_t flags, const struct inet_diag_req_v2 *body,
	struct search *search, struct err *err)
{
	char buffer[256];
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);

	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | flags;
	message->nlmsg_seq = netlink_sequence(netlink);
	memcpy(mnl_nlmsg_put_extra_header(message, sizeof(*body)), body, sizeof(*body));
	return netlink_request(netlink, message, search ? hear_socket : NULL, search, err);
}

/* The sockets of this port, of both families. The kernel compares the port. */
static int find(struct netlink *netlink, uint16_t port, struct search *search, struct err *err)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		struct inet_diag_req_v2 body = {.sdiag_family = families[i],
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_ext = 1 << (INET_DIAG_INFO - 1),
			.idiag_states = 1u << STATE_ESTABLISHED | 1u << STATE_LISTEN,
			.id.idiag_sport = htons(port)};
		int r = request(netlink, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &body, search, err);

		if (r == -ENOENT)
			return err_set(err, ENOENT, ERR_NETLINK, "this kernel does not list TCP sockets (tcp_diag)");
		/* Torn: the rest is found the next time. */
		if (r < 0 && r != -EINTR)
			return r;
	}
	return 0;
}

/* The cookie in the id makes sure that it is this socket, and not another one with its addresses. */
static int end(struct netlink *netlink, const struct search *search, size_t *ended, struct err *err)
{
	for (size_t i = 0; i < search->count; i++) {
		const struct inet_diag_req_v2 body = {.sdiag_family = search->victims[i].family,
			.sdiag_protocol = IPPROTO_TCP,
			.id = search->victims[i].id};
		int r = request(netlink, SOCK_DESTROY, NLM_F_ACK, &body, NULL, err);

		/* It went by itself. */
		if (r < 0 && r != -ENOENT)
			return r;
		*ended += r == 0;
	}
	return 0;
}

int silent_end(const uint16_t *ports, size_t count, unsigned int seconds, size_t *ret_ended, struct err *err)
{
	struct netlink *netlink;
	struct search *search;
	int r = netlink_open(NETLINK_SOCK_DIAG, &netlink, err);

	*ret_ended = 0;
	if (r < 0)
		return r;
	search = mem_zero(1, sizeof(*search));
	for (size_t i = 0; i < count && r == 0; i++) {
		*search = (struct search){.limit = seconds * 1000};
		r = find(netlink, ports[i], search, err);
		if (r == 0 && search->listening)
			r = end(netlink, search, ret_ended, err);
	}
	free(search);
	netlink_close(netlink);
	return r;
}
