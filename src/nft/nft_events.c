/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Listening to everybody's transactions, to tell which of them concern our table. What we do not understand does; what
 * was lost may have. Of our own transactions the kernel tells too: they are known by our port id.
 */

#include <errno.h>
#include <string.h>

#include "nft_private.h"

struct nft_events {
	struct netlink *netlink;
	uint32_t own_port;
	struct nft_news news;
	bool unsigned_change; /* of others, and the event that says who it was is still to come */
	struct nft_culprit culprit;
};

static void note_others(struct nft_events *events)
{
	events->news.others = true;
	events->unsigned_change = true;
}

static void hear_end(struct nft_events *events, const struct nlattr *const *table)
{
	const char *name = netlink_string(table[NFTA_GEN_PROC_NAME]);
	uint32_t generation;

	/* The kernel counts past 0. */
	if (!netlink_u32(table[NFTA_GEN_ID], &generation) || generation == 0) {
		note_others(events);
		return;
	}
	events->news.generation = generation;
	if (!events->unsigned_change)
		return;
	events->unsigned_change = false;
	events->culprit = (struct nft_culprit){0};
	netlink_u32(table[NFTA_GEN_PROC_PID], &events->culprit.process);
	if (name)
		memcpy(events->culprit.name, name, strnlen(name, sizeof(events->culprit.name) - 1));
}

static int hear_event(void *data, const struct nlmsghdr *message)
{
	struct nft_events *events = data;
	const struct nfgenmsg *header = mnl_nlmsg_get_payload(message);
	size_t length = mnl_nlmsg_get_payload_len(message);
	const size_t offset = MNL_ALIGN(sizeof(*header));
	const struct nlattr *table[NFTA_GEN_MAX + 1];

	if (message->nlmsg_type == NLMSG_NOOP)
		return 0;
	if (message->nlmsg_type == NLMSG_OVERRUN) {
		events->news.lost = true;
		return 0;
	}
	if (message->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES || length < offset ||
		!netlink_well_formed((const char *)header + offset, length - offset)) {
		note_others(events);
		return 0;
	}
	netlink_attributes((const char *)header + offset, length - offset, table, ARRAY_SIZE(table));
	if ((message->nlmsg_type & 0xff) == NFT_MSG_NEWGEN) {
		hear_end(events, table);
		return 0;
	}
	/* The first attribute of every object, and of a list of elements, is the name of its table. */
	_Static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 && NFTA_SET_TABLE == 1 &&
			       NFTA_SET_ELEM_LIST_TABLE == 1 && NFTA_OBJ_TABLE == 1 && NFTA_FLOWTABLE_TABLE == 1,
		"an object without its table in front");
	const char *name = netlink_string(table[1]);

	if (name && (header->nfgen_family != NFPROTO_INET || strcmp(name, TABLE_NAME) != 0))
		return 0;
	if (name && events->own_port && message->nlmsg_pid == events->own_port)
		events->news.own = true;
	else
		note_others(events);
	return 0;
}

int nft_events_hear(struct nft_events *events, struct err *err)
{
	for (;;) {
		int r = netlink_hear(events->netlink, hear_event, events, err);

		if (r == -ENOBUFS)
			events->news.lost = true;
		else if (r == -EBADMSG)
			note_others(events);
		else
			return r;
	}
}

static void hear_refusal(void *data, uint32_t sequence _unused_, int code, const char *text _unused_)
{
	*(int *)data = code;
}

/*
 * An empty transaction changes nothing, not even the generation, but waits for the lock like any other: whatever
 * committed before has told all of it by then. It costs about a microsecond. Valid for one generation, like all of
 * ours: that it moved is an answer as good as the other.
 */
static int wait_for_running(const struct nft *nft, struct err *err)
{
	_cleanup_(batch_done) struct batch batch = {0};
	int code = 0;
	int r;

	batch_begin(&batch, nft->netlink, 1);
	batch_end(&batch);
	r = netlink_batch(nft->netlink, batch.data, batch.used, hear_refusal, &code, err);
	if (r == -EREMOTEIO && code != ERESTART)
		return err_set(err, code, ERR_NETLINK, "the kernel refused an empty transaction: %s", strerror(code));
	/* Whatever became of its answer: it was sent, and sending it is waiting. */
	return r == -EREMOTEIO || r == -ENOBUFS ? 0 : r;
}

int nft_events_settle(struct nft *nft, struct err *err)
{
	int r = wait_for_running(nft, err);

	return r < 0 ? r : nft_events_hear(nft->events, err);
}

static int open_events(const struct nft *nft, struct nft_events **ret, struct err *err)
{
	struct netlink *netlink;
	int r = netlink_listen(nft->netlink, NFNLGRP_NFTABLES, &netlink, err);

	if (r < 0)
		return r;
	/* The kernel makes events only while somebody listens: a transaction that runs already may have none. */
	r = wait_for_running(nft, err);
	if (r < 0) {
		netlink_close(netlink);
		return r;
	}
	*ret = mem_zero(1, sizeof(**ret));
	(*ret)->netlink = netlink;
	(*ret)->own_port = netlink_port(nft->netlink);
	return 0;
}

int nft_events_open(struct nft *nft, struct err *err)
{
	return open_events(nft, &nft->events, err);
}

void nft_events_close(struct nft_events *events)
{
	if (!events)
		return;
	netlink_close(events->netlink);
	free(events);
}

const struct nft_news *nft_events_news(const struct nft_events *events)
{
	return &events->news;
}

void nft_events_forget(struct nft_events *events)
{
	events->news = (struct nft_news){0};
}

const struct nft_culprit *nft_events_culprit(const struct nft_events *events)
{
	return &events->culprit;
}

int nft_events_descriptor(const struct nft_events *events)
{
	return netlink_descriptor(events->netlink);
}

void nft_stop_listening(struct nft *nft)
{
	nft_events_close(nft->events);
	nft->events = NULL;
	nft->heard = 0;
	nft->disturbed = 0;
}

/* --- for others --- */

/* What nft_read() forgets and settles is its own; this one belongs to who opened it. */
struct nft_ear {
	struct nft_events *events;
	bool others; /* changed our table, and who it was is still to be heard */
};

int nft_ear_open(const struct nft *nft, struct nft_ear **ret, struct err *err)
{
	struct nft_events *events;
	int r = open_events(nft, &events, err);

	if (r < 0)
		return r;
	*ret = mem_zero(1, sizeof(**ret));
	(*ret)->events = events;
	return 0;
}

void nft_ear_close(struct nft_ear *ear)
{
	if (!ear)
		return;
	nft_events_close(ear->events);
	free(ear);
}

int nft_ear_descriptor(const struct nft_ear *ear)
{
	return nft_events_descriptor(ear->events);
}

int nft_ear_hear(struct nft_ear *ear, struct nft_heard *ret, struct err *err)
{
	struct nft_events *events = ear->events;
	const struct nft_news *news = &events->news;
	int r = nft_events_hear(events, err);

	/* What says who it was is the last of a transaction's events, a moment after the others. */
	ear->others = ear->others || news->others;
	*ret = (struct nft_heard){.lost = news->lost, .anything = news->generation || news->lost};
	if (ear->others && (!events->unsigned_change || news->lost || r < 0)) {
		ret->anything = ret->others = true;
		ret->culprit = events->unsigned_change ? (struct nft_culprit){0} : events->culprit;
		ear->others = false;
	}
	nft_events_forget(events);
	return r;
}
