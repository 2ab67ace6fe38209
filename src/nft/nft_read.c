/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Reading our table so that it is one state: the generation before, each message's own mark of the generation, the
 * generation after. Any difference, or a torn dump, throws everything away (netlink-pitfalls 5.1).
 *
 * That is hopeless where others commit without pause, to whatever table: a reading is one request for each kind of
 * object and one for each set, and all of them must fall between two transactions. So where we are disturbed we listen
 * to the events (nft_events.c), and a reading is one state if none of them concerns our table from before its first
 * request until after its last: then nothing of it has changed meanwhile, whatever the generation did.
 */

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "nft_private.h"

int nft_open(struct nft **ret, struct err *err)
{
	struct netlink *netlink;
	int r = netlink_open(NETLINK_NETFILTER, &netlink, err);

	if (r < 0)
		return r;
	*ret = mem_zero(1, sizeof(**ret));
	(*ret)->netlink = netlink;
	return 0;
}

struct nft *nft_open_transport(const struct transport *transport)
{
	struct nft *nft = mem_zero(1, sizeof(*nft));

	nft->netlink = netlink_open_transport(transport);
	return nft;
}

void nft_close(struct nft *nft)
{
	if (!nft)
		return;
	/* First: the other one may have to wait. */
	nft_events_close(nft->events);
	netlink_close(nft->netlink);
	free(nft);
}

uint32_t nft_port(const struct nft *nft)
{
	return netlink_port(nft->netlink);
}

void nft_pause(struct nft *nft, long nanoseconds)
{
	netlink_pause(nft->netlink, nanoseconds);
}

void nft_set_progress(struct nft *nft, nft_progress *progress, void *data)
{
	nft->progress = progress;
	nft->progress_data = data;
}

/* --- one query --- */

/* How often one torn dump is asked for again, while we listen. */
#define DUMP_TRIES 100

struct query {
	struct nft *nft;
	struct ruleset *ruleset;
	struct elements *elements;
	bool presence_only;
	/* What is known of the state one transaction ago; NULL = nothing. */
	const struct snapshot *before;
	const struct changeset *changes;
	int (*decode)(struct ruleset *ruleset, const struct nlmsghdr *message);
	uint16_t generation; /* the low bits, which each message carries */
	size_t done;	     /* elements of all sets so far, for progress */
	/* While we listen: the messages of one dump, which are understood when all of it is heard. */
	char *kept;
	size_t kept_used;
	size_t kept_capacity;
};

static void keep(struct query *query, const struct nlmsghdr *message)
{
	size_t needed = query->kept_used + MNL_ALIGN(message->nlmsg_len);

	if (needed > query->kept_capacity) {
		query->kept_capacity = needed * 2;
		query->kept = mem_resize(query->kept, query->kept_capacity, 1);
	}
	memcpy(query->kept + query->kept_used, message, message->nlmsg_len);
	query->kept_used = needed;
}

static int decode_kept(struct query *query)
{
	int r = 0;

	for (size_t at = 0; at < query->kept_used && r == 0;) {
		const struct nlmsghdr *message = (const struct nlmsghdr *)(query->kept + at);

		r = query->decode(query->ruleset, message);
		at += MNL_ALIGN(message->nlmsg_len);
	}
	return r;
}

static int hear(void *data, const struct nlmsghdr *message)
{
	struct query *query = data;
	const struct nfgenmsg *header = mnl_nlmsg_get_payload(message);
	int r;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(*header) || message->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES)
		return -EBADMSG;
	if (query->nft->events && !query->elements) {
		/* Of one state in itself: what others do to their tables shifts the place where a dump goes on. */
		if (query->kept_used == 0)
			query->generation = be16toh(header->res_id);
		if (be16toh(header->res_id) != query->generation)
			return -EINTR;
		keep(query, message);
		return 0;
	}
	/* Flags of the message miss changes in dumps of elements; this does not. (While we listen it is of no interest:
	 * such a dump walks one set of ours, and if that changed we hear it.) */
	if (!query->nft->events && be16toh(header->res_id) != query->generation)
		return -EINTR;
	if (!query->elements)
		return query->decode(query->ruleset, message);
	size_t before = query->elements->keys.count;

	r = decode_elements(query->elements, message);
	query->done += query->elements->keys.count - before;
	if (query->nft->progress)
		query->nft->progress(query->nft->progress_data, query->done);
	return r;
}

struct nlmsghdr *nft_request(struct nft *nft, char *buffer, uint16_t type, uint16_t flags, uint16_t table_attribute)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));

	request->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	request->nlmsg_flags = NLM_F_REQUEST | flags;
	request->nlmsg_seq = netlink_sequence(nft->netlink);
	*header = (struct nfgenmsg){.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0};
	if (table_attribute)
		mnl_attr_put_strz(request, table_attribute, TABLE_NAME);
	return request;
}

/* While we listen: -EINTR where something concerns our table already, and all further reading is in vain. */
static int look_up(const struct query *query, struct err *err)
{
	const struct nft_news *news;
	int r;

	if (!query->nft->events)
		return 0;
	r = nft_events_hear(query->nft->events, err);
	news = nft_events_news(query->nft->events);
	return r == 0 && (news->others || news->lost) ? -EINTR : r;
}

/* The kernel filters by the table where it can: nobody else's sets or rules are sent to us. */
static int query_objects(struct query *query, uint16_t type, uint16_t flags, uint16_t table_attribute,
	int (*decode)(struct ruleset *, const struct nlmsghdr *), struct err *err)
{
	char buffer[NFT_REQUEST_ROOM];
	unsigned int tries = 0;
	int r;

	query->decode = decode;
	do {
		struct nlmsghdr *request = nft_request(query->nft, buffer, type, flags, table_attribute);

		query->kept_used = 0;
		r = netlink_request(query->nft->netlink, request, hear, query, err);
		if (r == -EINTR && look_up(query, err) < 0)
			break;
	} while (r == -EINTR && query->nft->events && ++tries < DUMP_TRIES);
	return r == 0 ? decode_kept(query) : r;
}

static int query_table(struct query *query, struct err *err)
{
	int r = query_objects(query, NFT_MSG_GETTABLE, NLM_F_ACK, NFTA_TABLE_NAME, decode_table, err);

	return r == -ENOENT ? 0 : r;
}

/* A list as it was before the transaction, where that did not touch it. */
static bool copy_elements(const struct query *query, struct set *set)
{
	const struct set *was = query->before ? ruleset_set(query->before->ruleset, set->name) : NULL;
	const struct set *expected = query->before ? ruleset_set(query->changes->expected, set->name) : NULL;

	if (!was || !expected || was->map || set->map || was->opaque || was->handle != set->handle ||
		query->changes->expected_sets[expected - query->changes->expected->sets] != WORK_NONE)
		return false;
	intervals_copy(&set->elements, &was->elements);
	set->irregular = was->irregular;
	return true;
}

static int query_elements(struct query *query, struct set *set, struct err *err)
{
	char buffer[NFT_REQUEST_ROOM];
	struct nlmsghdr *request =
		nft_request(query->nft, buffer, NFT_MSG_GETSETELEM, NLM_F_DUMP, NFTA_SET_ELEM_LIST_TABLE);
	struct elements elements = {.set = set, .keys.width = set->elements.width};
	int r;

	/* What is in a set that must go anyway is of no interest, and may not have our keys; what is state is
	 * not policy. */
	if (set->opaque || set_is_state(set) || copy_elements(query, set))
		return 0;
	mnl_attr_put_strz(request, NFTA_SET_ELEM_LIST_SET, set->name);
	query->elements = &elements;
	r = netlink_request(query->nft->netlink, request, hear, query, err);
	query->elements = NULL;
	if (r == 0)
		elements_finish(&elements);
	elements_done(&elements);
	return r;
}

int nft_explain(int r, struct err *err)
{
	if (r == -EPERM)
		err_hint(err, "run as root, or with CAP_NET_ADMIN: the kernel needs it even to read a ruleset");
	if (r == -EOPNOTSUPP || r == -EINVAL)
		err_hint(err,
			"this kernel seems to have no nf_tables: load it with `modprobe nf_tables`, or use a kernel "
			"with CONFIG_NF_TABLES and CONFIG_NF_TABLES_INET");
	return r;
}

/* --- generation --- */

static int hear_generation(void *data, const struct nlmsghdr *message)
{
	const struct nlattr *table[NFTA_GEN_MAX + 1];
	uint32_t generation;

	if (message->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN) ||
		mnl_nlmsg_get_payload_len(message) < sizeof(struct nfgenmsg))
		return -EBADMSG;
	netlink_attributes(mnl_nlmsg_get_payload_offset(message, sizeof(struct nfgenmsg)),
		mnl_nlmsg_get_payload_len(message) - MNL_ALIGN(sizeof(struct nfgenmsg)), table, ARRAY_SIZE(table));
	/* The kernel counts past 0 (nf_tables_commit), and 0 in a batch would mean "do not check". */
	if (!netlink_u32(table[NFTA_GEN_ID], &generation) || generation == 0)
		return -EBADMSG;
	*(uint32_t *)data = generation;
	return 0;
}

int nft_generation(struct nft *nft, uint32_t *ret, struct err *err)
{
	char buffer[NFT_REQUEST_ROOM];
	struct nlmsghdr *request = nft_request(nft, buffer, NFT_MSG_GETGEN, NLM_F_ACK, 0);
	uint32_t generation = 0;
	int r = netlink_request(nft->netlink, request, hear_generation, &generation, err);

	if (r == 0 && generation == 0)
		r = -EBADMSG;
	if (r < 0) {
		if (err && !err->code)
			err_set(err, -r, ERR_NETLINK, "the kernel gave no generation of its ruleset: %s", strerror(-r));
		err_prefix(err, "reading nf_tables");
		return nft_explain(r, err);
	}
	*ret = generation;
	return 0;
}

/* --- reading --- */

static int read_table(struct query *query, struct err *err)
{
	static const struct {
		uint16_t type;
		uint16_t attribute;
		int (*decode)(struct ruleset *, const struct nlmsghdr *);
	} dumps[] = {
		{NFT_MSG_GETCHAIN, NFTA_CHAIN_TABLE, decode_chain},
		{NFT_MSG_GETRULE, NFTA_RULE_TABLE, decode_rule},
		{NFT_MSG_GETSET, NFTA_SET_TABLE, decode_set},
		{NFT_MSG_GETOBJ, NFTA_OBJ_TABLE, decode_counter},
		{NFT_MSG_GETFLOWTABLE, NFTA_FLOWTABLE_TABLE, decode_flowtable},
	};
	int r = query_table(query, err);

	if (r < 0 || !query->ruleset->present || query->presence_only)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(dumps); i++) {
		r = query_objects(query, dumps[i].type, NLM_F_DUMP, dumps[i].attribute, dumps[i].decode, err);
		if (r == 0)
			r = look_up(query, err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < query->ruleset->set_count; i++) {
		r = query_elements(query, &query->ruleset->sets[i], err);
		if (r == 0)
			r = look_up(query, err);
		if (r < 0)
			return r;
	}
	ruleset_unlabel(query->ruleset);
	return 0;
}

bool nft_is_unchanged(const struct nft *nft, uint32_t generation)
{
	const struct nft_news *news = nft->events ? nft_events_news(nft->events) : NULL;

	return news && nft->heard && generation == nft->heard && !news->others && !news->lost;
}

/* Begins to listen for what may disturb this reading. */
static int listen_begin(struct query *query, bool *ret_alone, struct err *err)
{
	struct nft *nft = query->nft;
	int r = nft_events_hear(nft->events, err);

	if (r < 0)
		return r;
	*ret_alone = query->before && nft_is_unchanged(nft, query->before->generation);
	nft->heard = 0;
	nft_events_forget(nft->events);
	return 0;
}

/* `r` is how the reading went. `generation`: before it, and then at its end. */
static int listen_end(struct nft *nft, int r, uint32_t *generation, struct err *err)
{
	const struct nft_news *news = nft_events_news(nft->events);
	int heard;

	/* What was not understood may have been two states. */
	if (r < 0 && r != -ENOENT && r != -EBADMSG)
		return r;
	heard = nft_events_settle(nft, err);
	if (heard < 0)
		return heard;
	if (news->others || news->lost)
		return -EINTR;
	if (news->generation)
		*generation = news->generation;
	return r;
}

/* One try. -EINTR: something changed meanwhile. */
static int read_once(const struct query *what, struct snapshot *ret, struct err *err)
{
	struct query query = *what;
	struct nft *nft = query.nft;
	uint32_t before;
	uint32_t after;
	bool alone = false;
	int r = nft->events ? listen_begin(&query, &alone, err) : 0;

	if (r == 0)
		r = nft_generation(nft, &before, err);
	if (r < 0)
		return r;
	query.generation = (uint16_t)before;
	/* One step further than what is known, and that step was our transaction: it was valid for no other state. */
	alone = alone || (query.before && before == query.before->generation + 1);
	if (!alone)
		query.before = NULL;
	query.ruleset = ruleset_new();
	r = read_table(&query, err);
	free(query.kept);
	after = before;
	if (nft->events)
		r = listen_end(nft, r, &after, err);
	else if (r == 0)
		r = nft_generation(nft, &after, err);
	if (r == 0 && before != after && !nft->events)
		r = -EINTR;
	/* Something that was listed is gone already: a change as well. */
	if (r == -ENOENT)
		r = -EINTR;
	if (r < 0) {
		ruleset_free(query.ruleset);
		return r;
	}
	if (nft->events)
		nft->heard = after;
	*ret = (struct snapshot){query.ruleset, after, alone};
	return 0;
}

static void hint_culprit(const struct nft *nft, struct err *err)
{
	const struct nft_culprit *culprit = nft->events ? nft_events_culprit(nft->events) : NULL;

	if (culprit && culprit->process)
		err_hint(err,
			"the last to change table inet " TABLE_NAME " was process %u (%s): `nft monitor` shows what",
			culprit->process, culprit->name);
	else
		err_hint(err, "find out who changes it: `nft monitor`");
}

static int read_patiently(const struct query *what, struct snapshot *ret, struct err *err)
{
	struct nft *nft = what->nft;
	double deadline = netlink_now(nft->netlink) + NFT_READ_SECONDS;
	long pause = 200000; /* nanoseconds */
	int r;

	for (;;) {
		struct err reason = {0};

		/* Where we cannot, we go on without. */
		if (!nft->events && nft->disturbed >= NFT_PATIENCE)
			nft_events_open(nft, NULL);
		r = read_once(what, ret, &reason);
		if (r == -EINTR)
			nft->disturbed++;
		if (r != -EINTR && r != -ENOBUFS) {
			if (r < 0 && !reason.code)
				err_set(&reason, -r, ERR_NETLINK, "the kernel's answer was not understood: %s",
					strerror(-r));
			if (r < 0 && err)
				*err = reason;
			return nft_explain(r, err);
		}
		if (netlink_now(nft->netlink) > deadline)
			break;
		/* Growing, and never the same as the other's rhythm. */
		netlink_pause(nft->netlink, pause);
		pause = pause < 20000000 ? pause * 3 / 2 + 7919 : 7000000;
	}
	err_set(err, EAGAIN, ERR_NETLINK,
		"the kernel's ruleset changed during every attempt to read it, for %d seconds", NFT_READ_SECONDS);
	hint_culprit(nft, err);
	return -EAGAIN;
}

int nft_read(struct nft *nft, struct snapshot *ret, struct err *err)
{
	return read_patiently(&(struct query){.nft = nft}, ret, err);
}

int nft_read_back(struct nft *nft, const struct snapshot *before, const struct changeset *changes, struct snapshot *ret,
	struct err *err)
{
	return read_patiently(
		&(struct query){.nft = nft, .before = changes ? before : NULL, .changes = changes}, ret, err);
}

int nft_read_presence(struct nft *nft, struct snapshot *ret, struct err *err)
{
	return read_patiently(&(struct query){.nft = nft, .presence_only = true}, ret, err);
}

/* --- statistics --- */

static int hear_counter(void *data, const struct nlmsghdr *message)
{
	if (mnl_nlmsg_get_payload_len(message) < sizeof(struct nfgenmsg) ||
		message->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES)
		return -EBADMSG;
	return decode_counter(data, message);
}

int nft_read_counters(struct nft *nft, struct ruleset **ret, struct err *err)
{
	char buffer[NFT_REQUEST_ROOM];
	struct nlmsghdr *request = nft_request(nft, buffer, NFT_MSG_GETOBJ, NLM_F_DUMP, NFTA_OBJ_TABLE);
	struct ruleset *ruleset = ruleset_new();
	int r = netlink_request(nft->netlink, request, hear_counter, ruleset, err);

	/* Torn, but heard to its end; or there is no table. */
	if (r == -EINTR || r == -ENOENT)
		r = 0;
	if (r < 0) {
		ruleset_free(ruleset);
		return nft_explain(r, err);
	}
	*ret = ruleset;
	return 0;
}

/* --- who was refused --- */

struct refused_query {
	const struct set *set;
	struct refused_sources *list;
};

static int hear_refusals(void *data, const struct nlmsghdr *message)
{
	const struct refused_query *query = data;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(struct nfgenmsg) ||
		message->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES)
		return -EBADMSG;
	return decode_refusals(query->list, query->set, NFT_REFUSED_LIMIT, message);
}

static int query_refusals(struct nft *nft, const struct set *set, struct refused_sources *list, struct err *err)
{
	char buffer[NFT_REQUEST_ROOM];
	struct nlmsghdr *request = nft_request(nft, buffer, NFT_MSG_GETSETELEM, NLM_F_DUMP, NFTA_SET_ELEM_LIST_TABLE);
	struct refused_query query = {set, list};
	int r;

	mnl_attr_put_strz(request, NFTA_SET_ELEM_LIST_SET, set->name);
	r = netlink_request(nft->netlink, request, hear_refusals, &query, err);
	/* Torn, but heard to its end; or gone since it was listed. */
	return r == -EINTR || r == -ENOENT ? 0 : r;
}

/* NULL where there is none, or one that is not like ours. */
static const struct set *refused_set(const struct ruleset *observed, const char *name, enum width width)
{
	const struct set *set = ruleset_set(observed, name);
	bool ours = set && !set->opaque && set->key == KEY_SOURCE_REASON && set->meter == METER_COUNTER &&
		    set->elements.width == width;

	return ours ? set : NULL;
}

static bool is_full(const struct refused_sources *list, const struct set *set)
{
	size_t count = 0;

	for (size_t i = 0; i < list->refusal_count; i++)
		count += list->refusals[i].width == set->elements.width;
	return set->size && count >= set->size;
}

int nft_read_refused(struct nft *nft, const struct ruleset *observed, struct refused_sources *ret, struct err *err)
{
	const struct set *sets[] = {
		refused_set(observed, REFUSED_SET_V4, WIDTH_IPV4), refused_set(observed, REFUSED_SET_V6, WIDTH_IPV6)};
	struct refused_sources list = {0};

	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		int r = sets[i] ? query_refusals(nft, sets[i], &list, err) : 0;

		if (r < 0) {
			if (err && !err->code)
				err_set(err, -r, ERR_NETLINK, "the kernel's answer was not understood: %s",
					strerror(-r));
			refused_sources_done(&list);
			return nft_explain(r, err);
		}
	}
	refused_sources_sum(&list);
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		list.full = list.full || (sets[i] && is_full(&list, sets[i]));
	*ret = list;
	return 0;
}
