/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The log of refused packets. libnetfilter_log knows the messages, base the conversation. The library is loaded here
 * and not linked, so that an apply does not pay for it. Its older half (nflog_open() and what follows) has a
 * conversation of its own, which takes a packet that comes while it still configures for a failure; so only its newer
 * half is used.
 */

#include <arpa/inet.h>
#include <dlfcn.h>
#include <endian.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <time.h>

#include <libnetfilter_log/libnetfilter_log.h>

#include "nft_private.h"

#define LIBRARY "libnetfilter_log.so.1"
/* Addresses, ports and first bytes, behind IPv6 headers and options. Our rules send 128 at most, other people's all. */
#define SNAP_BYTES 256
/* The kernel gathers this many packets for one datagram, but keeps none longer than a hundredth of a second. Datagrams
 * count by the page in the socket's buffer, so a flood of single packets would overflow it twenty times as early. */
#define GATHER_PACKETS	  20
#define GATHER_HUNDREDTHS 1
/* The library fills an entry for each type that it knows; a newer one may know more than its header here. */
#define ATTRIBUTES_ROOM 256
/* A packet's own time that differs more than this from ours is no time of day: kernels before 5.18 let the monotonic
 * clock of the sender show through. */
#define STRANGE_SECONDS 86400

struct nft_log {
	struct netlink *netlink;
	uint16_t group;
	void *library;
	__typeof__(nflog_nlmsg_put_header) *put_header;
	__typeof__(nflog_attr_put_cfg_cmd) *put_command;
	__typeof__(nflog_attr_put_cfg_mode) *put_mode;
	__typeof__(nflog_nlmsg_parse) *parse;
	/* Packets heard and not yet asked for. */
	struct nft_log_event *events;
	size_t next, count, capacity;
	uint32_t sequence; /* of the next packet, if none is lost */
	uint64_t lost;
	/* Overruns that no gap in the sequence has told the size of yet: each makes one, if another packet comes. */
	unsigned int overruns;
};

/* --- opening --- */

static int load(struct nft_log *log, struct err *err)
{
	log->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (log->library) {
		log->put_header = (__typeof__(log->put_header))dlsym(log->library, "nflog_nlmsg_put_header");
		log->put_command = (__typeof__(log->put_command))dlsym(log->library, "nflog_attr_put_cfg_cmd");
		log->put_mode = (__typeof__(log->put_mode))dlsym(log->library, "nflog_attr_put_cfg_mode");
		log->parse = (__typeof__(log->parse))dlsym(log->library, "nflog_nlmsg_parse");
		if (log->put_header && log->put_command && log->put_mode && log->parse)
			return 0;
	}
	const char *why = dlerror();

	err_set(err, ENOENT, ERR_IO, "the log is read with " LIBRARY ", which cannot be used: %s",
		why ? why : "it is too old");
	err_hint(err, "install it: apt-get install libnetfilter-log1");
	return -ENOENT;
}

/* The kernel refuses with EPERM both those who may not and those who come second. Whoever may reads the generation. */
static int explain(struct nft_log *log, int code, struct err *err)
{
	struct nft nft = {.netlink = log->netlink};
	uint32_t generation;
	struct err why = {0};

	if (code == -EPERM && nft_generation(&nft, &generation, &why) == -EPERM) {
		err_set(err, EPERM, ERR_NETLINK, "reading NFLOG group %u: %s", log->group, strerror(EPERM));
		err_hint(err, "run as root, or with CAP_NET_ADMIN in this network namespace");
		return -EPERM;
	}
	if (code == -EPERM || code == -EBUSY) {
		err_set(err, EBUSY, ERR_NETLINK, "NFLOG group %u is read by another process already", log->group);
		err_hint(err, "end the other one (`cat /proc/net/netfilter/nfnetlink_log` lists groups and their "
			      "processes), or "
			      "write another log_group into the policy and apply it");
		return -EBUSY;
	}
	if (err && !err->code)
		err_set(err, -code, ERR_NETLINK, "%s", strerror(-code));
	err_prefix(err, "reading NFLOG group %u", log->group);
	if (code == -EINVAL || code == -EOPNOTSUPP || code == -ENOENT)
		err_hint(err, "this kernel seems to have no NFLOG: load it with `modprobe nfnetlink_log`, or use a "
			      "kernel with "
			      "CONFIG_NETFILTER_NETLINK_LOG");
	return code;
}

/* All in one message, so that no packet comes in between under other rules. */
static int configure(struct nft_log *log, struct err *err)
{
	char buffer[256] = {0};
	struct nlmsghdr *request = log->put_header(buffer, NFULNL_MSG_CONFIG, AF_UNSPEC, log->group);
	int r;

	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	request->nlmsg_seq = netlink_sequence(log->netlink);
	log->put_command(request, NFULNL_CFG_CMD_BIND);
	log->put_mode(request, NFULNL_COPY_PACKET, SNAP_BYTES);
	mnl_attr_put_u32(request, NFULA_CFG_TIMEOUT, htonl(GATHER_HUNDREDTHS));
	mnl_attr_put_u32(request, NFULA_CFG_QTHRESH, htonl(GATHER_PACKETS));
	mnl_attr_put_u16(request, NFULA_CFG_FLAGS, htons(NFULNL_CFG_F_SEQ));
	r = netlink_request(log->netlink, request, NULL, NULL, err);
	return r < 0 ? explain(log, r, err) : 0;
}

int nft_log_open_transport(const struct transport *transport, uint16_t group, struct nft_log **ret, struct err *err)
{
	struct nft_log *log = mem_zero(1, sizeof(*log));
	int r;

	log->netlink = netlink_open_transport(transport);
	log->group = group;
	r = load(log, err);
	if (r == 0)
		r = configure(log, err);
	if (r < 0) {
		nft_log_close(log);
		return r;
	}
	*ret = log;
	return 0;
}

int nft_log_open(uint16_t group, struct nft_log **ret, struct err *err)
{
	struct nft_log *log = mem_zero(1, sizeof(*log));
	int r;

	log->group = group;
	r = load(log, err);
	if (r == 0)
		r = netlink_open(NETLINK_NETFILTER, &log->netlink, err);
	if (r == 0)
		r = configure(log, err);
	if (r < 0) {
		nft_log_close(log);
		return r;
	}
	*ret = log;
	return 0;
}

void nft_log_close(struct nft_log *log)
{
	if (!log)
		return;
	netlink_close(log->netlink);
	if (log->library)
		dlclose(log->library);
	free(log->events);
	free(log);
}

int nft_log_fd(const struct nft_log *log)
{
	return netlink_descriptor(log->netlink);
}

/* --- one packet --- */

static uint64_t event_time(const struct nlattr *attribute)
{
	struct nfulnl_msg_packet_timestamp stamp = {0};
	struct timespec now;
	uint64_t seconds;

	clock_gettime(CLOCK_REALTIME, &now);
	if (attribute && mnl_attr_get_payload_len(attribute) >= sizeof(stamp))
		memcpy(&stamp, mnl_attr_get_payload(attribute), sizeof(stamp));
	seconds = be64toh(stamp.sec);
	/* Unsigned: what is far before is far behind. */
	if (seconds - (uint64_t)now.tv_sec + STRANGE_SECONDS <= 2 * STRANGE_SECONDS && be64toh(stamp.usec) < 1000000)
		return seconds * 1000000000 + be64toh(stamp.usec) * 1000;
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void read_prefix(const struct nlattr *attribute, struct nft_log_event *event)
{
	const char *prefix = netlink_string(attribute);
	size_t length;

	if (!prefix || strncmp(prefix, LOG_PREFIX, strlen(LOG_PREFIX)) != 0)
		return;
	event->ours = true;
	prefix += strlen(LOG_PREFIX);
	event->reason = reason_find(prefix);
	length = strspn(prefix, "abcdefghijklmnopqrstuvwxyz0123456789_-");
	if (length == 0 || prefix[length] || length >= sizeof(event->name))
		prefix = "unknown";
	snprintf(event->name, sizeof(event->name), "%s", prefix);
}

/* The sequence has a gap where notices were lost, however they were. */
static void count_lost(struct nft_log *log, const struct nlattr *attribute, struct nft_log_event *event)
{
	uint32_t sequence;

	if (!netlink_u32(attribute, &sequence))
		return;
	/* Backwards: not a kernel's doing; begin anew. */
	event->lost = sequence - log->sequence > INT32_MAX ? 0 : sequence - log->sequence;
	log->sequence = sequence + 1;
	log->lost += event->lost;
	if (event->lost && log->overruns)
		log->overruns--;
}

static int hear(void *data, const struct nlmsghdr *message)
{
	struct nft_log *log = data;
	const struct nfgenmsg *header = mnl_nlmsg_get_payload(message);
	struct nlattr *table[ATTRIBUTES_ROOM] = {NULL};
	struct nft_log_event event = {0};
	uint32_t index;

	if (message->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET) ||
		mnl_nlmsg_get_payload_len(message) < sizeof(*header) || ntohs(header->res_id) != log->group)
		return 0;
	/* What is wrong with one attribute says nothing about the others. */
	log->parse(message, table);
	count_lost(log, table[NFULA_SEQ], &event);
	event.time = event_time(table[NFULA_TIMESTAMP]);
	read_prefix(table[NFULA_PREFIX], &event);
	if (table[NFULA_PAYLOAD])
		event.readable = packet_parse(mnl_attr_get_payload(table[NFULA_PAYLOAD]),
					 mnl_attr_get_payload_len(table[NFULA_PAYLOAD]), &event.packet) == 0;
	if (netlink_u32(table[NFULA_IFINDEX_INDEV], &index) && !if_indextoname(index, event.interface))
		event.interface[0] = '\0';
	ARRAY_GROW(log->events, log->count, log->capacity);
	log->events[log->count++] = event;
	return 0;
}

int nft_log_next(struct nft_log *log, struct nft_log_event *ret, struct err *err)
{
	_Static_assert(sizeof(ret->interface) >= IF_NAMESIZE, "room for the name of an interface");
	while (log->next == log->count) {
		int r;

		log->next = log->count = 0;
		r = netlink_hear_one(log->netlink, hear, log, err);
		if (r == -EAGAIN)
			return 0;
		if (r == -ENOBUFS)
			log->overruns++;
		else if (r < 0 && r != -EBADMSG) /* what is cut shows as a gap */
			return r;
	}
	*ret = log->events[log->next++];
	return 1;
}

uint64_t nft_log_lost(const struct nft_log *log, bool *ret_more)
{
	*ret_more = log->overruns > 0;
	return log->lost;
}
