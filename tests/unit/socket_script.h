/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A kernel that lists the sockets that it is told to, whatever it is asked; for sock_diag(7). */

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <string.h>
#include <sys/socket.h>

#include "probe/probe_private.h"

struct socket_answer {
	const void *bytes; /* the messages' payload */
	size_t length;
	uint8_t family; /* only to questions of this family; 0: to all */
	uint16_t type;	/* 0: SOCK_DIAG_BY_FAMILY */
};

struct socket_script {
	const struct socket_answer *answers;
	size_t count;
	int done; /* the last message says */
	uint32_t sequence;
	uint8_t family; /* of the question */
	unsigned int questions;
};

static inline ssize_t socket_script_send(void *data, const void *bytes, size_t length)
{
	struct socket_script *script = data;

	script->sequence = ((const struct nlmsghdr *)bytes)->nlmsg_seq;
	script->family = *(const uint8_t *)mnl_nlmsg_get_payload(bytes);
	script->questions++;
	return (ssize_t)length;
}

static inline ssize_t socket_script_receive(
	void *data, void *buffer, size_t size, bool wait _unused_, bool *truncated, bool *from_kernel)
{
	struct socket_script *script = data;
	struct nlmsghdr *message;
	size_t used = 0;

	*truncated = false;
	*from_kernel = true;
	for (size_t i = 0; i < script->count; i++) {
		const struct socket_answer *answer = &script->answers[i];

		if (answer->family && answer->family != script->family)
			continue;
		if (used + answer->length + 64 > size)
			break;
		message = mnl_nlmsg_put_header((char *)buffer + used);
		message->nlmsg_type = answer->type ? answer->type : SOCK_DIAG_BY_FAMILY;
		message->nlmsg_flags = NLM_F_MULTI;
		message->nlmsg_seq = script->sequence;
		if (answer->length)
			memcpy(mnl_nlmsg_put_extra_header(message, answer->length), answer->bytes, answer->length);
		/* Which rounds up. */
		message->nlmsg_len = (uint32_t)(sizeof(*message) + answer->length);
		used += MNL_ALIGN(message->nlmsg_len);
	}
	message = mnl_nlmsg_put_header((char *)buffer + used);
	message->nlmsg_type = NLMSG_DONE;
	message->nlmsg_flags = NLM_F_MULTI;
	message->nlmsg_seq = script->sequence;
	memcpy(mnl_nlmsg_put_extra_header(message, sizeof(int)), &script->done, sizeof(int));
	used += MNL_ALIGN(message->nlmsg_len);
	return (ssize_t)used;
}

static inline struct netlink *socket_script_open(struct socket_script *script)
{
	struct transport transport = {.send = socket_script_send,
		.receive = socket_script_receive,
		.data = script,
		/* No socket: what asks it for an interface's name gets an error. */
		.descriptor = -1};

	return netlink_open_transport(&transport);
}
