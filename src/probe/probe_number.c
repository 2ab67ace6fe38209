/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Whether what listens on a few ports is still what it was, for who asks often. */

#include <linux/netlink.h>

#include "probe_private.h"

/* 0 is for who knows none. Rows come in any order, so each is mixed alone (the end of splitmix64) and then added. */
static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t sockets_number(const struct socket_table *table)
{
	uint64_t sum = table->count;

	for (size_t i = 0; i < table->count; i++) {
		const struct socket_row *row = &table->rows[i];
		uint64_t hash = mix(row->inode + 0x9e3779b97f4a7c15u);

		hash = mix(hash ^ row->address.hi);
		hash = mix(hash ^ row->address.lo);
		sum += mix(hash ^ ((uint64_t)row->interface << 32 | (uint64_t)row->width << 16 | row->port));
	}
	return mix(sum) | 1;
}

int host_sockets_number(const struct host_question *question, uint64_t *ret, struct err *err)
{
	struct socket_table table = {0};
	struct netlink *netlink;
	int r = netlink_open(NETLINK_SOCK_DIAG, &netlink, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < question->port_count && r == 0; i++)
		if (question->ports[i])
			r = sockets_read_tcp(netlink, 0, question->ports[i], &table, err);
	netlink_close(netlink);
	if (r == 0)
		*ret = sockets_number(&table);
	sockets_done(&table);
	return r;
}
