/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A changeset to one transaction. The order is the kernel's: what refers goes before what is referred to, and comes
 * after it. All of it takes effect at one instant, or none.
 */

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "nft_private.h"

/* A name that nobody has: a table that is there would answer for itself. It never comes to be. */
#define TRIAL_NAME TABLE_NAME "-trial-of-flags"

static void release(struct batch *batch, const struct changeset *changeset)
{
	const struct ruleset *expected = changeset->expected;
	const struct ruleset *observed = changeset->observed;

	for (size_t i = 0; i < observed->chain_count; i++)
		if (changeset->observed_chains[i] == WORK_DELETE)
			batch_flush_chain(batch, &observed->chains[i]);
	for (size_t i = 0; i < expected->chain_count; i++)
		if (changeset->expected_chains[i] == WORK_REFILL)
			batch_flush_chain(batch, &expected->chains[i]);
	for (size_t i = 0; i < expected->set_count; i++)
		if (changeset->expected_sets[i] == WORK_REFILL)
			batch_flush_set(batch, &expected->sets[i]);
}

static void remove_objects(struct batch *batch, const struct changeset *changeset)
{
	const struct ruleset *observed = changeset->observed;

	/* Sets before chains: a map's elements refer to chains. */
	for (size_t i = 0; i < observed->set_count; i++)
		if (changeset->observed_sets[i] == WORK_DELETE)
			batch_delete_set(batch, &observed->sets[i]);
	for (size_t i = 0; i < observed->chain_count; i++)
		if (changeset->observed_chains[i] == WORK_DELETE)
			batch_delete_chain(batch, &observed->chains[i]);
	for (size_t i = 0; i < observed->counter_count; i++)
		if (changeset->observed_counters[i] == WORK_DELETE)
			batch_delete_object(batch, observed->counters[i].name, NFT_OBJECT_COUNTER);
	for (size_t i = 0; i < observed->other_count; i++) {
		if (observed->others[i].kind == OTHER_FLOWTABLE)
			batch_delete_flowtable(batch, observed->others[i].name);
		else
			batch_delete_object(batch, observed->others[i].name, observed->others[i].type);
	}
}

static void update_elements(struct batch *batch, const struct changeset *changeset, const struct set *expected)
{
	const struct set *observed = ruleset_set(changeset->observed, expected->name);
	struct intervals add = {.width = expected->elements.width};
	struct intervals remove = {.width = expected->elements.width};

	set_delta(expected, observed, &add, &remove);
	batch_delete_elements(batch, observed, &remove);
	batch_add_elements(batch, expected, &add);
	intervals_done(&add);
	intervals_done(&remove);
}

/*
 * Newer kernels switch to a transaction's rules first, and fill new interval sets a moment later (see
 * changeset_needs_preparing()). Our hooks ask the interval set guarded_ports first, so that a table that is new begins
 * to guard when all is filled. One that takes the place of another must guard from its first moment on: until the next
 * transaction its hooks ask a set without intervals, which has its elements at once.
 */
static char stand_in_name[] = GUARDED_PORTS "_stand_in"; /* never written to; the notes of a batch borrow it */

static void add_stand_in(struct batch *batch, const struct ruleset *expected, uint32_t id)
{
	const struct set *guarded = ruleset_set(expected, GUARDED_PORTS);
	struct set set = {.name = stand_in_name, .elements.width = WIDTH_PORT};

	for (size_t i = 0; guarded && i < guarded->elements.count; i++) {
		struct interval ports = intervals_get(&guarded->elements, i);

		for (struct value port = ports.first;; port = value_next(port)) {
			intervals_add(&set.elements, (struct interval){port, port, ports.origin});
			if (value_compare(port, ports.last) == 0)
				break;
		}
	}
	batch_add_set(batch, &set, id);
	batch_add_elements(batch, &set, NULL);
	intervals_done(&set.elements);
}

static void add_rules_with_stand_in(struct batch *batch, const struct chain *chain)
{
	for (size_t i = 0; i < chain->rule_count; i++) {
		struct rule rule = chain->rules[i];
		struct chain one = *chain;

		rule.terms = mem_zero(rule.term_count, sizeof(*rule.terms));
		for (size_t t = 0; t < rule.term_count; t++) {
			rule.terms[t] = chain->rules[i].terms[t];
			if (rule.terms[t].kind == TERM_LOOKUP && strcmp(rule.terms[t].name, GUARDED_PORTS) == 0)
				rule.terms[t].name = stand_in_name;
		}
		one.rules = &rule;
		one.rule_count = 1;
		batch_add_rules(batch, &one);
		free(rule.terms);
	}
}

static void add_objects(struct batch *batch, const struct changeset *changeset)
{
	const struct ruleset *expected = changeset->expected;

	for (size_t i = 0; i < expected->counter_count; i++)
		if (changeset->expected_counters[i] == WORK_CREATE)
			batch_add_counter(batch, &expected->counters[i]);
	for (size_t i = 0; i < expected->chain_count; i++) {
		const struct chain *found = ruleset_chain(changeset->observed, expected->chains[i].name);
		enum work work = changeset->expected_chains[i];
		bool policy = work == WORK_REFILL && expected->chains[i].base && found &&
			      found->drop_policy != expected->chains[i].drop_policy;

		if (work == WORK_CREATE || work == WORK_UPDATE || policy)
			batch_add_chain(batch, &expected->chains[i]);
	}
	for (size_t i = 0; i < expected->set_count; i++)
		if (changeset->expected_sets[i] == WORK_CREATE)
			batch_add_set(batch, &expected->sets[i], (uint32_t)i + 1);
	for (size_t i = 0; i < expected->set_count; i++) {
		enum work work = changeset->expected_sets[i];

		if (work == WORK_CREATE || work == WORK_REFILL)
			batch_add_elements(batch, &expected->sets[i], NULL);
		else if (work == WORK_UPDATE)
			update_elements(batch, changeset, &expected->sets[i]);
	}
	if (changeset->table_replace)
		add_stand_in(batch, expected, (uint32_t)expected->set_count + 1);
	for (size_t i = 0; i < expected->chain_count; i++) {
		enum work work = changeset->expected_chains[i];

		if (changeset->table_replace && expected->chains[i].base)
			add_rules_with_stand_in(batch, &expected->chains[i]);
		else if (work == WORK_CREATE || work == WORK_REFILL)
			batch_add_rules(batch, &expected->chains[i]);
	}
}

static void replace(struct batch *batch, const struct changeset *changeset)
{
	batch_delete_table(batch);
	batch_add_table(batch, changeset->expected);
	add_objects(batch, changeset);
}

static void build(struct batch *batch, const struct changeset *changeset)
{
	if (changeset->remove_table) {
		batch_delete_table(batch);
		return;
	}
	/* For a trial: else it is prepared first, and what is left is another changeset. */
	if (changeset->table_replace) {
		replace(batch, changeset);
		return;
	}
	if (changeset->table_missing)
		batch_add_table(batch, changeset->expected);
	else if (changeset->table_flags)
		/* The kernel refuses an update that leaves out the flag of a table that stays without its owner. */
		batch_update_table(batch, changeset->expected->flags | (changeset->observed->flags & TABLE_PERSIST));
	release(batch, changeset);
	remove_objects(batch, changeset);
	add_objects(batch, changeset);
}

static bool is_new_chain(const struct changeset *changeset, size_t index)
{
	const struct chain *chain = &changeset->expected->chains[index];

	return changeset->expected_chains[index] == WORK_CREATE && !chain->base &&
	       !ruleset_chain(changeset->observed, chain->name);
}

static bool is_new_set(const struct changeset *changeset, size_t index)
{
	return changeset->expected_sets[index] == WORK_CREATE &&
	       !ruleset_set(changeset->observed, changeset->expected->sets[index].name);
}

/* What is new and has no namesake in the kernel: nothing there refers to it. */
static void prepare(struct batch *batch, const struct changeset *changeset)
{
	const struct ruleset *expected = changeset->expected;

	if (changeset->table_replace) {
		replace(batch, changeset);
		return;
	}
	for (size_t i = 0; i < expected->counter_count; i++)
		if (changeset->expected_counters[i] == WORK_CREATE)
			batch_add_counter(batch, &expected->counters[i]);
	for (size_t i = 0; i < expected->chain_count; i++)
		if (is_new_chain(changeset, i))
			batch_add_chain(batch, &expected->chains[i]);
	for (size_t i = 0; i < expected->set_count; i++)
		if (is_new_set(changeset, i))
			batch_add_set(batch, &expected->sets[i], (uint32_t)i + 1);
	for (size_t i = 0; i < expected->set_count; i++)
		if (is_new_set(changeset, i))
			batch_add_elements(batch, &expected->sets[i], NULL);
	for (size_t i = 0; i < expected->chain_count; i++)
		if (is_new_chain(changeset, i))
			batch_add_rules(batch, &expected->chains[i]);
}

/* --- refusals --- */

struct refusals {
	const struct batch *batch;
	const struct changeset *changeset;
	nft_place *place;
	void *data;
	struct err *err;
	int code; /* of the first refusal, which the others mostly follow from */
};

static void hint(const struct refusals *refusals, int code)
{
	struct err *err = refusals->err;

	if (code == EPERM && refusals->changeset->observed->present &&
		refusals->changeset->observed->flags & TABLE_OWNER)
		err_hint(err, "another process owns the table (flag owner): stop it, or let it write the table itself");
	else if (code == EPERM)
		err_hint(err, "run as root, or with CAP_NET_ADMIN in this network namespace");
	else if (code == EOPNOTSUPP || code == ENOENT)
		err_hint(err,
			"the kernel lacks a part of nf_tables that the ruleset needs: see `dflyguard plan --verbose`, "
			"and try `modprobe nft_fib_inet nft_reject_inet nft_ct nft_objref`");
	else if (code == ENOMEM)
		err_hint(err, "the kernel has not enough memory for a list of this size");
	else if (code == EMFILE || code == ENFILE)
		err_hint(err, "the kernel's limit of objects in a table is reached");
}

static void hear_refusal(void *data, uint32_t sequence, int code, const char *text)
{
	struct refusals *refusals = data;
	const struct batch *batch = refusals->batch;
	size_t index = sequence - batch->first_sequence;
	struct srcloc place = {0};

	if (refusals->code || index >= batch->note_count)
		return;
	const struct batch_note *note = &batch->notes[index];

	refusals->code = code;
	if (refusals->place && note->origin)
		place = refusals->place(refusals->data, note->origin);
	/* The first message stands for the transaction as a whole: privilege, or the generation. */
	err_set_at(refusals->err, code, ERR_COMMIT, place, "the kernel refused the %s%s%s: %s%s%s", note->what,
		note->name ? " " : "", note->name ? note->name : "", strerror(code), text ? ": " : "",
		text ? text : "");
	hint(refusals, code);
}

/* --- sending --- */

static void set_generation(const struct batch *batch, uint32_t generation)
{
	const struct nlmsghdr *begin = (const struct nlmsghdr *)batch->data;
	uint32_t generation_be = htobe32(generation);
	/* The only attribute: see batch_begin(). */
	const struct nlattr *attribute = mnl_nlmsg_get_payload_offset(begin, sizeof(struct nfgenmsg));

	memcpy(mnl_attr_get_payload(attribute), &generation_be, sizeof(generation_be));
}

/* The newest generation at which our table is known to be what it was at `generation`. -ERESTART: it has changed. */
static int find_newest(struct nft *nft, uint32_t generation, uint32_t *ret, struct err *err)
{
	const struct nft_news *news;
	int r = nft_events_hear(nft->events, err);

	if (r < 0)
		return r;
	news = nft_events_news(nft->events);
	if (!nft_is_unchanged(nft, generation) || news->own)
		return -ERESTART;
	*ret = news->generation ? news->generation : generation;
	return 0;
}

/* Others who commit all the time are overtaken best right after one of them, which is when the kernel tells us that we
 * were late; so there are no pauses, until it is clear that more than luck is needed. */
static void pause_after(struct nft *nft, unsigned int tries)
{
	if (tries > 100)
		netlink_pause(nft->netlink, 50000 + (long)(tries * 7919 % 100) * 50000);
}

int nft_commit(struct nft *nft, const struct changeset *changeset, uint32_t generation, enum commit commit,
	nft_place *place, void *data, struct err *err)
{
	_cleanup_(batch_done) struct batch batch = {0};
	struct refusals refusals = {.batch = &batch, .changeset = changeset, .place = place, .data = data, .err = err};
	double deadline = nft->events ? netlink_now(nft->netlink) + NFT_READ_SECONDS : 0;
	uint32_t newest = generation;

	batch_begin(&batch, nft->netlink, generation);
	if (commit == COMMIT_PREPARE)
		prepare(&batch, changeset);
	else
		build(&batch, changeset);
	/* Without its end the kernel checks a transaction, reports all errors, and drops it. */
	if (commit != COMMIT_VERIFY)
		batch_end(&batch);
	for (unsigned int tries = 1;; tries++) {
		int r = nft->events ? find_newest(nft, generation, &newest, err) : 0;

		if (r < 0)
			return r;
		set_generation(&batch, newest);
		r = netlink_batch(nft->netlink, batch.data, batch.used, hear_refusal, &refusals, err);
		if (r != -EREMOTEIO)
			return r;
		if (!refusals.code)
			return err_set(err, EIO, ERR_COMMIT, "the kernel refused a message that was not sent");
		if (refusals.code == ERESTART)
			nft->disturbed++;
		if (refusals.code != ERESTART || !nft->events)
			return -refusals.code;
		refusals.code = 0;
		if (err)
			*err = (struct err){0};
		if (netlink_now(nft->netlink) > deadline)
			break;
		pause_after(nft, tries);
	}
	err_set(err, EAGAIN, ERR_COMMIT,
		"somebody else was faster than each attempt to commit, for %d seconds, though with other tables",
		NFT_READ_SECONDS);
	err_hint(err, "find out who changes the ruleset all the time: `nft monitor`");
	return -EAGAIN;
}

static void hear_trial(void *data, uint32_t sequence, int code, const char *text)
{
	int *first = data;

	(void)sequence;
	(void)text;
	if (!*first)
		*first = code;
}

int nft_can_own(struct nft *nft, struct err *err)
{
	_cleanup_(batch_done) struct batch batch = {0};
	int refused = 0;
	int r;

	batch_begin(&batch, nft->netlink, 0);
	batch_try_table(&batch, TRIAL_NAME, TABLE_OWNED);
	/* No end: see nft_commit(). */
	r = netlink_batch(nft->netlink, batch.data, batch.used, hear_trial, &refused, err);
	if (r != -EREMOTEIO)
		return r;
	return err_set(err, refused, ERR_COMMIT, "the kernel refused a table with an owner that stays without him: %s",
		strerror(refused));
}
