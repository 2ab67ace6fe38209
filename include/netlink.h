/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * netlink: framing and the hard cases of a netlink conversation, once for all who have one. It knows requests, dumps
 * and batches. It does not know what the messages mean, and never retries: what a torn dump or a lost answer is worth
 * is for the caller to say.
 */

#include <sys/types.h>
#include <libmnl/libmnl.h>

#include "err.h"

/* How bytes reach the kernel. A test puts its own in, to answer what a kernel will not on demand. Both functions return
 * a byte count or a negative errno value. `receive` gives one datagram; `wait` false: -EAGAIN where none is there.
 * `truncated` is set where the datagram did not fit; `from_kernel` is false where somebody else sent it. */
struct transport {
	ssize_t (*send)(void *data, const void *bytes, size_t length);
	ssize_t (*receive)(void *data, void *buffer, size_t size, bool wait, bool *truncated, bool *from_kernel);
	/* Makes room for a message of this many bytes; NULL: nothing to do. */
	void (*reserve)(void *data, size_t length);
	void (*close)(void *data);
	/* The time, in seconds since whenever, and waiting. NULL: the real ones. A test that waits for a minute of
	 * retries brings its own. */
	double (*now)(void *data);
	void (*pause)(void *data, long nanoseconds);
	/* Opens a second transport beside this one, which hears what the kernel tells a multicast group. 0, or a
	 * negative errno value. NULL: there is none. */
	int (*listen)(void *data, unsigned int group, struct transport *ret);
	void *data;
	uint32_t port;	/* our port id; 0 where the transport has none */
	int descriptor; /* for poll(2); 0 where the transport has none */
};

struct netlink;

/* Opens and binds a socket of this netlink family (NETLINK_NETFILTER, ...). 0, or a negative errno value with `err`. */
int netlink_open(int family, struct netlink **ret, struct err *err);
/* Takes the transport over: netlink_close() calls its close. */
struct netlink *netlink_open_transport(const struct transport *transport);
void netlink_close(struct netlink *netlink);

/*
 * Opens a second socket of the same family, which only hears what the kernel tells a multicast group: by
 * netlink_hear(), from the moment of this call on. 0, or a negative errno value with `err`. Free with netlink_close().
 */
int netlink_listen(const struct netlink *netlink, unsigned int group, struct netlink **ret, struct err *err);
/* Our port id, by which the kernel names us as the one who did something; 0 where the transport has none. */
uint32_t netlink_port(const struct netlink *netlink);
/* For poll(2): readable when netlink_hear() has something to hear. Borrowed. 0 where the transport has none. */
int netlink_descriptor(const struct netlink *netlink);

/* The transport's time, and waiting by it: less than a second. */
double netlink_now(const struct netlink *netlink);
void netlink_pause(const struct netlink *netlink, long nanoseconds);

/* The sequence number for the next message: never 0. */
uint32_t netlink_sequence(struct netlink *netlink);

/* Called for each message of an answer. Returns 0 to go on, or a negative errno value, which ends the request. */
typedef int netlink_message(void *data, const struct nlmsghdr *message);

/*
 * Sends one request and hears its whole answer. `request` has NLM_F_DUMP or NLM_F_ACK set, so that the end of the
 * answer is known, and its sequence number from netlink_sequence(). Returns
 *   0          all of it was heard
 *   -EINTR     the dump was torn (NLM_F_DUMP_INTR): what was heard is not one state; ask again
 *   -ENOBUFS   answers were lost; ask again
 *   -EMSGSIZE  a datagram was larger than our buffer, which is larger than the kernel's: a bug
 *   other      what the kernel answered, what the callback returned, or what the transport failed with
 * and fills `err`, except for -EINTR and -ENOENT, which callers expect. Answers to earlier requests are skipped. A dump
 * that ends early, for whatever reason, is heard to its end all the same: the kernel begins no other one before.
 */
int netlink_request(struct netlink *netlink, const struct nlmsghdr *request, netlink_message *callback, void *data,
	struct err *err);

/*
 * Hears all that waits, and waits for nothing. For sockets from netlink_listen(). Returns
 *   0          nothing more waits
 *   -ENOBUFS   there was no room, and the kernel dropped something: nobody knows what. More may wait: call again.
 *   -EBADMSG   something that is no message, or a datagram larger than our buffer: call again
 *   other      what the callback returned, or what the transport failed with; `err` is filled in the second case
 */
int netlink_hear(struct netlink *netlink, netlink_message *callback, void *data, struct err *err);
/* The same for one datagram: 0, and -EAGAIN where none waits. For who must not be held up by a flood. */
int netlink_hear_one(struct netlink *netlink, netlink_message *callback, void *data, struct err *err);

/* One error that the kernel reported for a message of a batch. `text` is its explanation, or NULL. */
typedef void netlink_refusal(void *data, uint32_t sequence, int code, const char *text);

/*
 * Sends one transaction, in one datagram, and hears all errors. None of its messages asks for an ACK. Returns
 *   0          no error was heard. It does not mean that anything was stored: read back.
 *   -EREMOTEIO at least one message was refused (and so all): `callback` heard which
 *   -ENOBUFS   answers were lost, or could not be received: committed or not, nobody knows. Read back.
 *   -EMSGSIZE  the socket's send buffer is too small, and may not be raised; `err` says which sysctl to raise
 *   other      the transport failed; `err` is filled
 */
int netlink_batch(struct netlink *netlink, const void *bytes, size_t length, netlink_refusal *callback, void *data,
	struct err *err);

/* Whether a whole message stands at the beginning of the `left` bytes. As mnl_nlmsg_ok(), which (libmnl 1.0.4) takes a
 * length from 2^31 on for a negative one, and then never comes to an end. */
bool netlink_message_ok(const struct nlmsghdr *message, int left);

/* Attributes of a nest or a message, by type. Types from `count` on that hold anything but zero, repeated types and
 * malformed ones make it return false; so that what we do not know cannot hide. (A newer kernel tells of options that
 * it has learnt; where nobody set them they are zero.) `table` has room for `count` entries and is cleared first. */
bool netlink_attributes(const void *payload, size_t length, const struct nlattr **table, size_t count);
/* Whether attributes, known or not, fill the payload: nothing is cut off, and nothing is left over. */
bool netlink_well_formed(const void *payload, size_t length);
bool netlink_nest(const struct nlattr *nest, const struct nlattr **table, size_t count);
/* The string in an attribute, or NULL where it has no final NUL. Borrowed from the message. */
const char *netlink_string(const struct nlattr *attribute);
/* Big-endian numbers; false where the attribute is missing or has another size. */
bool netlink_u32(const struct nlattr *attribute, uint32_t *ret);
bool netlink_u64(const struct nlattr *attribute, uint64_t *ret);
