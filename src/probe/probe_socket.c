/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What listens, by sock_diag(7). Works without privileges, for the namespace that the netlink socket was made in. The
 * kernel walks its table of listening sockets piece by piece: what comes and goes meanwhile may be missed or told
 * twice, and no generation says so. It is a sample, like all lists of sockets.
 */

#include <errno.h>
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "probe_private.h"

/* As in include/net/tcp_states.h, which is not for programs. Unix sockets have the same states. */
#define STATE_LISTEN 10u

struct hearing {
	struct socket_table *table;
	size_t network;
	uint8_t family; /* that was asked for */
};

static bool is_full(struct socket_table *table)
{
	if (table->count < LISTENERS_MAX_SOCKETS)
		return false;
	table->truncated = true;
	return true;
}

static int hear_tcp(void *data, const struct nlmsghdr *message)
{
	const struct hearing *hearing = data;
	struct socket_table *table = hearing->table;
	const struct inet_diag_msg *socket = mnl_nlmsg_get_payload(message);
	size_t length = mnl_nlmsg_get_payload_len(message);
	const struct nlattr *attributes[INET_DIAG_SKV6ONLY + 1];

	if (message->nlmsg_type != SOCK_DIAG_BY_FAMILY || length < sizeof(*socket) ||
		socket->idiag_family != hearing->family)
		return -EBADMSG;
	if (socket->idiag_state != STATE_LISTEN || is_full(table))
		return 0;
	netlink_attributes((const char *)socket + MNL_ALIGN(sizeof(*socket)), length - MNL_ALIGN(sizeof(*socket)),
		attributes, ARRAY_SIZE(attributes));

	const struct nlattr *v6_only = attributes[INET_DIAG_SKV6ONLY];
	enum width width = hearing->family == AF_INET ? WIDTH_IPV4 : WIDTH_IPV6;

	if (v6_only && mnl_attr_get_payload_len(v6_only) < sizeof(uint8_t))
		return -EBADMSG;
	ARRAY_GROW(table->rows, table->count, table->capacity);
	table->rows[table->count++] = (struct socket_row){
		.address = value_from_bytes(width, socket->id.idiag_src),
		.inode = socket->idiag_inode,
		.network = (uint32_t)hearing->network,
		.interface = socket->id.idiag_if,
		.uid = socket->idiag_uid,
		.queued = socket->idiag_rqueue,
		.backlog = socket->idiag_wqueue,
		.next = SOCKET_END,
		.port = ntohs(socket->id.idiag_sport),
		.width = (uint8_t)width,
		.v6_only_known = width == WIDTH_IPV6 && v6_only,
		.v6_only = width == WIDTH_IPV6 && v6_only && mnl_attr_get_u8(v6_only),
	};
	return 0;
}

static int hear_unix(void *data, const struct nlmsghdr *message)
{
	const struct hearing *hearing = data;
	struct socket_table *table = hearing->table;
	const struct unix_diag_msg *socket = mnl_nlmsg_get_payload(message);
	size_t length = mnl_nlmsg_get_payload_len(message);
	const struct nlattr *attributes[UNIX_DIAG_VFS + 1];

	if (message->nlmsg_type != SOCK_DIAG_BY_FAMILY || length < sizeof(*socket) || socket->udiag_family != AF_UNIX)
		return -EBADMSG;
	if (socket->udiag_state != STATE_LISTEN || socket->udiag_type != SOCK_STREAM || is_full(table))
		return 0;
	netlink_attributes((const char *)socket + MNL_ALIGN(sizeof(*socket)), length - MNL_ALIGN(sizeof(*socket)),
		attributes, ARRAY_SIZE(attributes));

	const struct nlattr *name = attributes[UNIX_DIAG_NAME];
	const struct nlattr *file = attributes[UNIX_DIAG_VFS];
	struct unix_diag_vfs place = {0};

	if (file) {
		if (mnl_attr_get_payload_len(file) < sizeof(place))
			return -EBADMSG;
		memcpy(&place, mnl_attr_get_payload(file), sizeof(place));
	}
	ARRAY_GROW(table->unix_rows, table->unix_count, table->unix_capacity);
	table->unix_rows[table->unix_count] = (struct unix_row){
		.name = name ? mem_stringn(mnl_attr_get_payload(name), mnl_attr_get_payload_len(name)) : NULL,
		.length = name ? mnl_attr_get_payload_len(name) : 0,
		.file = place.udiag_vfs_ino,
		.has_file = file != NULL,
	};
	ARRAY_GROW(table->rows, table->count, table->capacity);
	table->rows[table->count++] = (struct socket_row){
		.inode = socket->udiag_ino,
		.network = (uint32_t)hearing->network,
		.next = SOCKET_END,
		.width = WIDTH_PORT,
		.more = (uint32_t)table->unix_count++,
	};
	return 0;
}

static int dump(struct netlink *netlink, const void *body, size_t size, netlink_message *callback,
	struct hearing *hearing, struct err *err)
{
	char buffer[256];
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	int r;

	message->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	message->nlmsg_seq = netlink_sequence(netlink);
	memcpy(mnl_nlmsg_put_extra_header(message, size), body, size);
	r = netlink_request(netlink, message, callback, hearing, err);
	/* A sample either way. */
	if (r == -EINTR)
		return 0;
	if (r == -EBADMSG)
		return err_set(err, EBADMSG, ERR_NETLINK, "the kernel lists sockets in a way that is not understood");
	return r;
}

/* Any socket asks for the interfaces of the namespace that it was made in. */
static void name_devices(const struct netlink *netlink, struct socket_table *table, size_t first)
{
	for (size_t i = first; i < table->count; i++) {
		struct socket_row *row = &table->rows[i];
		struct ifreq request = {.ifr_ifindex = (int)row->interface};

		if (row->interface == 0)
			continue;
		/* As ss(8) calls one that is gone. */
		if (ioctl(netlink_descriptor(netlink), SIOCGIFNAME, &request) < 0)
			snprintf(request.ifr_name, sizeof(request.ifr_name), "if%" PRIu32, row->interface);
		ARRAY_GROW(table->devices, table->device_count, table->device_capacity);
		memcpy(table->devices[table->device_count].name, request.ifr_name, sizeof(table->devices->name));
		row->more = (uint32_t)table->device_count++;
	}
}

int sockets_read_tcp(
	struct netlink *netlink, size_t network, uint16_t port, struct socket_table *table, struct err *err)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	size_t first = table->count;

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		struct hearing hearing = {.table = table, .network = network, .family = families[i]};
		struct inet_diag_req_v2 body = {.sdiag_family = families[i],
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = 1u << STATE_LISTEN,
			.id.idiag_sport = htons(port)};
		int r = dump(netlink, &body, sizeof(body), hear_tcp, &hearing, err);

		if (r == -ENOENT)
			return err_set(err, ENOENT, ERR_NETLINK, "this kernel does not list TCP sockets (tcp_diag)");
		if (r < 0)
			return r;
	}
	name_devices(netlink, table, first);
	return 0;
}

int sockets_read_unix(struct netlink *netlink, size_t network, struct socket_table *table, struct err *err)
{
	struct hearing hearing = {.table = table, .network = network, .family = AF_UNIX};
	struct unix_diag_req body = {.sdiag_family = AF_UNIX,
		.udiag_states = 1u << STATE_LISTEN,
		.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS};
	int r = dump(netlink, &body, sizeof(body), hear_unix, &hearing, err);

	if (r == -ENOENT)
		return err_set(err, ENOENT, ERR_NETLINK, "this kernel does not list Unix sockets (unix_diag)");
	return r;
}

/* ---- finding them again ---- */

static size_t bucket_of(const struct socket_table *table, uint64_t inode)
{
	return (size_t)((inode * 0x9e3779b97f4a7c15u) >> 32) & (table->bucket_count - 1);
}

static bool same_socket(const struct socket_row *a, const struct socket_row *b)
{
	return a->inode == b->inode && a->network == b->network && a->width == b->width && a->port == b->port &&
	       value_compare(a->address, b->address) == 0 && a->interface == b->interface;
}

void sockets_index(struct socket_table *table)
{
	size_t kept = 0;

	table->bucket_count = 64;
	while (table->bucket_count < table->count)
		table->bucket_count *= 2;
	table->buckets = mem_alloc(table->bucket_count * sizeof(*table->buckets));
	for (size_t i = 0; i < table->bucket_count; i++)
		table->buckets[i] = SOCKET_END;
	for (size_t i = 0; i < table->count; i++) {
		struct socket_row row = table->rows[i];
		uint32_t *bucket = &table->buckets[bucket_of(table, row.inode)];
		uint32_t other = *bucket;

		/* Sockets of the kernel have none, and are as many as they are. */
		while (other != SOCKET_END && (row.inode == 0 || !same_socket(&table->rows[other], &row)))
			other = table->rows[other].next;
		if (other != SOCKET_END)
			continue;
		/* All without an inode would stand in one chain, and nobody asks for them. */
		if (row.inode) {
			row.next = *bucket;
			*bucket = (uint32_t)kept;
		}
		table->rows[kept++] = row;
	}
	table->count = kept;
}

uint32_t sockets_find(const struct socket_table *table, uint64_t inode, uint32_t row)
{
	if (inode == 0 || table->bucket_count == 0)
		return SOCKET_END;
	row = row == SOCKET_BEGIN ? table->buckets[bucket_of(table, inode)] : table->rows[row].next;
	while (row != SOCKET_END && table->rows[row].inode != inode)
		row = table->rows[row].next;
	return row;
}

void sockets_done(struct socket_table *table)
{
	for (size_t i = 0; i < table->unix_count; i++)
		free(table->unix_rows[i].name);
	free(table->unix_rows);
	free(table->devices);
	free(table->rows);
	free(table->buckets);
	*table = (struct socket_table){0};
}

/* ---- addresses ---- */

void addresses_read(struct host *host)
{
	struct ifaddrs *list;
	size_t capacity = 0;

	if (getifaddrs(&list) < 0) {
		host->addresses_read.unknown = mem_string(strerror(errno));
		return;
	}
	for (const struct ifaddrs *item = list; item; item = item->ifa_next) {
		struct host_address address = {.network = 0};

		if (!item->ifa_addr)
			continue;
		if (item->ifa_addr->sa_family == AF_INET) {
			struct sockaddr_in in;

			memcpy(&in, item->ifa_addr, sizeof(in));
			address.width = WIDTH_IPV4;
			address.address = value_from_bytes(WIDTH_IPV4, &in.sin_addr);
		} else if (item->ifa_addr->sa_family == AF_INET6) {
			struct sockaddr_in6 in6;

			memcpy(&in6, item->ifa_addr, sizeof(in6));
			address.width = WIDTH_IPV6;
			address.address = value_from_bytes(WIDTH_IPV6, &in6.sin6_addr);
		} else {
			continue;
		}
		/* An address may have a label of its own, "eth0:1"; no interface's name holds a colon. */
		address.interface = proc_clean(item->ifa_name, strcspn(item->ifa_name, ":"));
		ARRAY_GROW(host->addresses, host->address_count, capacity);
		host->addresses[host->address_count++] = address;
	}
	freeifaddrs(list);
}
