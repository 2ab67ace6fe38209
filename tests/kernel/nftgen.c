/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * nftgen: prints the generation id of nf_tables in this network namespace; every committed transaction moves it.
 * nftgen busy MICROSECONDS: moves it until killed, with transactions about chains of a table "inet busy", and pauses of
 * that length (0: none); faster than any number of nft processes. Prints a line when it has begun.
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

static size_t put_chain(char *buffer, bool add)
{
	size_t used = 0;
	struct nlmsghdr *header;

	used += put(buffer, &used, NFNL_MSG_BATCH_BEGIN, 0)->nlmsg_len;
	if (add) {
		header = put(buffer, &used, NFT_MSG_NEWTABLE, NLM_F_CREATE);
		mnl_attr_put_strz(header, NFTA_TABLE_NAME, "busy");
		used += header->nlmsg_len;
	}
	header = put(buffer, &used, add ? NFT_MSG_NEWCHAIN : NFT_MSG_DELCHAIN, add ? NLM_F_CREATE : 0);
	mnl_attr_put_strz(header, NFTA_CHAIN_TABLE, "busy");
	mnl_attr_put_strz(header, NFTA_CHAIN_NAME, "c");
	used += header->nlmsg_len;
	return used + put(buffer, &used, NFNL_MSG_BATCH_END, 0)->nlmsg_len;
}

static int be_busy(struct mnl_socket *socket, long microseconds)
{
	const struct timespec pause = {microseconds / 1000000, microseconds % 1000000 * 1000};
	char buffers[2][1024];
	size_t lengths[2];
	char answer[8192];

	for (unsigned int i = 0; i < 2; i++)
		lengths[i] = put_chain(buffers[i], i == 0);
	for (unsigned int i = 0, begun = 0;; i = !i, begun = 1) {
		if (mnl_socket_sendto(socket, buffers[i], lengths[i]) < 0)
			return trouble();
		/* Only errors are answered. */
		if (recv(mnl_socket_get_fd(socket), answer, sizeof(answer), MSG_DONTWAIT) > 0) {
			errno = -*(int *)mnl_nlmsg_get_payload((struct nlmsghdr *)answer);
			return trouble();
		}
		if (!begun) {
			puts("busy");
			fflush(stdout);
		}
		if (microseconds)
			nanosleep(&pause, NULL);
	}
}

int main(int argc, char **argv)
{
	struct mnl_socket *socket = mnl_socket_open(NETLINK_NETFILTER);
	int status;

	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return trouble();
	status = argc == 3 && strcmp(argv[1], "busy") == 0 ? be_busy(socket, atol(argv[2])) : show(socket);
	mnl_socket_close(socket);
	return status;
}
