/* SPDX-License-Identifier: GPL-3.0-or-later */

/* nftgen: prints the generation id of nf_tables in this network namespace; every committed transaction moves it. */

#include <errno.h>
#include <inttypes.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>

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

int main(void)
{
	char buffer[8192];
	struct mnl_socket *socket = mnl_socket_open(NETLINK_NETFILTER);
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *family = mnl_nlmsg_put_extra_header(request, sizeof(*family));
	uint32_t generation = 0;
	ssize_t length;

	request->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	request->nlmsg_seq = 1;
	family->version = NFNETLINK_V0;
	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
		mnl_socket_sendto(socket, request, request->nlmsg_len) < 0) {
		perror("nftgen");
		return 2;
	}
	while ((length = mnl_socket_recvfrom(socket, buffer, sizeof(buffer))) > 0) {
		int more = mnl_cb_run(buffer, (size_t)length, 1, mnl_socket_get_portid(socket), message, &generation);

		if (more < 0) {
			perror("nftgen");
			return 2;
		}
		if (more == 0)
			break;
	}
	printf("%" PRIu32 "\n", generation);
	mnl_socket_close(socket);
	return 0;
}
