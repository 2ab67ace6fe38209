/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * nftgen: prints the generation id of nf_tables in this network namespace; every committed transaction moves it.
 * nftgen busy MICROSECONDS [N]: moves it until killed, with transactions about a table "inet busy", and pauses of that
 * length (0: none); faster than any number of nft processes. Every Nth transaction is about our own table: it adds a
 * chain "strange" and the element 203.0.113.7 of "admins_v4", or deletes both. Prints a line when it has begun.
 * nftgen flags NUMBER: asks for table "inet dflyguard" with these flags (1 dormant, 2 owner, 4 persist), and stays
 * until killed, since that ends what it owns. Prints `ready`, or what the kernel answered.
 */

#include <errno.h>
#include <inttypes.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int trouble(void)
{
	perror("nftgen");
	return 2;
}

static int attribute(const struct nlattr *found, void *data)
{
	uint32_t *generation = data;

	if (mnl_attr_get_type(found) == NFTA_GEN_ID)
		*generation = be32toh(mnl_attr_get_u32(found));
	return MNL_CB_OK;
}

static int message(const struct nlmsghdr *header, void *data)
{
	return mnl_attr_parse(header, sizeof(struct nfgenmsg), attribute, data);
}

static int show(struct mnl_socket *socket)
{
	char buffer[8192];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *family = mnl_nlmsg_put_extra_header(request, sizeof(*family));
	uint32_t generation = 0;
	ssize_t length;

	request->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	request->nlmsg_seq = 1;
	family->version = NFNETLINK_V0;
	if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		return trouble();
	while ((length = mnl_socket_recvfrom(socket, buffer, sizeof(buffer))) > 0) {
		int more = mnl_cb_run(buffer, (size_t)length, 1, mnl_socket_get_portid(socket), message, &generation);

		if (more < 0)
			return trouble();
		if (more == 0)
			break;
	}
	printf("%" PRIu32 "\n", generation);
	return 0;
}

/* --- being busy --- */

static struct nlmsghdr *put(char *buffer, size_t *used, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer + *used);
	struct nfgenmsg *family = mnl_nlmsg_put_extra_header(header, sizeof(*family));
	bool frame = type == NFNL_MSG_BATCH_BEGIN || type == NFNL_MSG_BATCH_END;

	header->nlmsg_type = frame ? type : (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	header->nlmsg_flags = NLM_F_REQUEST | flags;
	header->nlmsg_seq = (uint32_t)*used + 1;
	family->nfgen_family = frame ? NFPROTO_UNSPEC : NFPROTO_INET;
	family->version = NFNETLINK_V0;
	family->res_id = htobe16(frame ? NFNL_SUBSYS_NFTABLES : 0);
	return header;
}

/* One end of an interval. */
static void put_element(struct nlmsghdr *header, uint32_t address, uint32_t flags)
{
	struct nlattr *element = mnl_attr_nest_start(header, NFTA_LIST_ELEM);
	struct nlattr *key;

	if (flags)
		mnl_attr_put_u32(header, NFTA_SET_ELEM_FLAGS, htobe32(flags));
	key = mnl_attr_nest_start(header, NFTA_SET_ELEM_KEY);
	mnl_attr_put_u32(header, NFTA_DATA_VALUE, htobe32(address));
	mnl_attr_nest_end(header, key);
	mnl_attr_nest_end(header, element);
}

static size_t put_switch(char *buffer, bool add)
{
	size_t used = 0;
	struct nlmsghdr *header;
	struct nlattr *list;

	used += put(buffer, &used, NFNL_MSG_BATCH_BEGIN, 0)->nlmsg_len;
	header = put(buffer, &used, add ? NFT_MSG_NEWCHAIN : NFT_MSG_DELCHAIN, add ? NLM_F_CREATE : 0);
	mnl_attr_put_strz(header, NFTA_CHAIN_TABLE, "dflyguard");
	mnl_attr_put_strz(header, NFTA_CHAIN_NAME, "strange");
	used += header->nlmsg_len;
	header = put(buffer, &used, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, add ? NLM_F_CREATE : 0);
	mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_TABLE, "dflyguard");
	mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_SET, "admins_v4");
	list = mnl_attr_nest_start(header, NFTA_SET_ELEM_LIST_ELEMENTS);
	put_element(header, 0xcb007107, 0);
	put_element(header, 0xcb007108, NFT_SET_ELEM_INTERVAL_END);
	mnl_attr_nest_end(header, list);
	used += header->nlmsg_len;
	return used + put(buffer, &used, NFNL_MSG_BATCH_END, 0)->nlmsg_len;
}

/* A transaction on the table "busy": 0 and 1 switch it off and on (it holds nothing that works), which the kernel does
 * without waiting for anything; 2 and 3 add and delete a chain, which moves the places of all chains behind it, but
 * lets the kernel clean up for milliseconds. 4 and 5 switch our own table. */
#define KINDS 6

static size_t put_transaction(char *buffer, unsigned int kind)
{
	size_t used = 0;
	struct nlmsghdr *header;

	if (kind >= 4)
		return put_switch(buffer, kind == 4);
	used += put(buffer, &used, NFNL_MSG_BATCH_BEGIN, 0)->nlmsg_len;
	if (kind < 2) {
		header = put(buffer, &used, NFT_MSG_NEWTABLE, NLM_F_CREATE);
		mnl_attr_put_strz(header, NFTA_TABLE_NAME, "busy");
		mnl_attr_put_u32(header, NFTA_TABLE_FLAGS, htobe32(kind == 0 ? NFT_TABLE_F_DORMANT : 0));
	} else {
		header = put(
			buffer, &used, kind == 2 ? NFT_MSG_NEWCHAIN : NFT_MSG_DELCHAIN, kind == 2 ? NLM_F_CREATE : 0);
		mnl_attr_put_strz(header, NFTA_CHAIN_TABLE, "busy");
		mnl_attr_put_strz(header, NFTA_CHAIN_NAME, "c");
	}
	used += header->nlmsg_len;
	return used + put(buffer, &used, NFNL_MSG_BATCH_END, 0)->nlmsg_len;
}

static int be_busy(struct mnl_socket *socket, long microseconds, unsigned int ours)
{
	bool there = false;
	const struct timespec pause = {microseconds / 1000000, microseconds % 1000000 * 1000};
	char buffers[KINDS][1024];
	size_t lengths[KINDS];
	char answer[8192];

	for (unsigned int i = 0; i < KINDS; i++)
		lengths[i] = put_transaction(buffers[i], i);
	for (unsigned int i = 0;; i++) {
		/* A chain comes and goes every now and then. */
		unsigned int kind = i % 1000 == 500 ? 2 : i % 1000 == 501 ? 3 : i % 2;

		if (ours && i % ours == ours - 1) {
			kind = there ? 5 : 4;
			there = !there;
		}
		if (mnl_socket_sendto(socket, buffers[kind], lengths[kind]) < 0)
			return trouble();
		/* Only errors are answered. */
		if (recv(mnl_socket_get_fd(socket), answer, sizeof(answer), MSG_DONTWAIT) > 0) {
			errno = -*(int *)mnl_nlmsg_get_payload((struct nlmsghdr *)answer);
			return trouble();
		}
		if (i == 0) {
			puts("busy");
			fflush(stdout);
		}
		if (microseconds)
			nanosleep(&pause, NULL);
	}
}

/* --- owning --- */

static int take_table(struct mnl_socket *socket, uint32_t flags)
{
	char buffer[1024];
	char answer[8192];
	size_t used = 0;
	struct nlmsghdr *header;

	used += put(buffer, &used, NFNL_MSG_BATCH_BEGIN, 0)->nlmsg_len;
	header = put(buffer, &used, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	mnl_attr_put_strz(header, NFTA_TABLE_NAME, "dflyguard");
	mnl_attr_put_u32(header, NFTA_TABLE_FLAGS, htobe32(flags));
	used += header->nlmsg_len;
	used += put(buffer, &used, NFNL_MSG_BATCH_END, 0)->nlmsg_len;
	if (mnl_socket_sendto(socket, buffer, used) < 0)
		return trouble();
	/* Only errors are answered. */
	if (recv(mnl_socket_get_fd(socket), answer, sizeof(answer), MSG_DONTWAIT) > 0) {
		puts(strerror(-*(int *)mnl_nlmsg_get_payload((struct nlmsghdr *)answer)));
		return 1;
	}
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	struct mnl_socket *socket = mnl_socket_open(NETLINK_NETFILTER);
	int status;

	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return trouble();
	if (argc > 2 && strcmp(argv[1], "busy") == 0)
		status = be_busy(socket, atol(argv[2]), argc > 3 ? (unsigned int)atol(argv[3]) : 0);
	else if (argc > 2 && strcmp(argv[1], "flags") == 0)
		status = take_table(socket, (uint32_t)atol(argv[2]));
	else
		status = show(socket);
	mnl_socket_close(socket);
	return status;
}
