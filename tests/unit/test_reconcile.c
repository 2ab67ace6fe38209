/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The loop of src/cmd/reconcile.c, run to its end against a kernel that keeps what it is sent. */

#include "cmd/cmd.h"
#include "fake_kernel.h"
#include "mutations.h"
#include "policies.h"

struct run {
	struct compiled compiled;
	struct fake fake;
	struct progress progress;
	struct reconcile r;
	struct err err;
	int code;
};

/* Begins with a kernel that holds `observed` (NULL: nothing). */
static void run_begin(struct run *run, const char *policy, const char *observed)
{
	*run = (struct run){.compiled = compile_golden(policy)};
	fake_begin(&run->fake);
	if (observed) {
		struct compiled before = compile_golden(observed);

		fake_load(&run->fake, before.ruleset);
		compiled_done(&before);
	}
	run->r = (struct reconcile){.expected = run->compiled.ruleset,
		.policy = run->compiled.policy,
		.write = true,
		.progress = &run->progress,
		.nft = fake_open(&run->fake)};
}

static void run_it(struct run *run)
{
	run->code = reconcile(&run->r, &run->err);
	progress_end(&run->progress);
}

/* Whether the kernel now holds what it should. */
static bool in_force(const struct run *run)
{
	struct ruleset *kept = store_ruleset(&run->fake.store);
	struct changeset *changes = ruleset_diff(run->compiled.ruleset, kept);
	bool same = changes->count == 0;

	changeset_free(changes);
	ruleset_free(kept);
	return same;
}

static void run_done(struct run *run)
{
	reconcile_done(&run->r);
	fake_done(&run->fake);
	compiled_done(&run->compiled);
}

static void test_apply(void **state)
{
	static const char *const before[] = {NULL, "tls-off", "everything"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
		struct run run;

		run_begin(&run, "tls-required", before[i]);
		run_it(&run);
		assert_int_equal(run.code, 0);
		assert_true(run.r.applied);
		assert_true(in_force(&run));
		assert_int_equal(run.fake.batches, 1);
		assert_int_equal(run.r.redone, 0);
		assert_true(run.r.changes->count > 0);
		assert_int_equal(run.r.before.generation + 1, run.fake.generation);
		run_done(&run);
	}
}

/* An apply that changes nothing sends nothing. */
static void test_nothing_to_do(void **state)
{
	struct run run;

	(void)state;
	run_begin(&run, "tls-required", "tls-required");
	run_it(&run);
	assert_int_equal(run.code, 0);
	assert_false(run.r.applied);
	assert_int_equal(run.r.changes->count, 0);
	assert_int_equal(run.fake.batches, 0);
	run_done(&run);
}

/* As long as the generation is the one that a record proved, nothing is read; and only then. */
static void test_known(void **state)
{
	(void)state;
	for (uint32_t off = 0; off < 3; off++) {
		/* The table differs: what is believed is the record, not the table. */
		struct run run;

		run_begin(&run, "tls-required", "tls-off");
		run.r.write = off != 2;
		run.r.known_generation = run.fake.generation + (off ? 1 : 0);
		run_it(&run);
		assert_int_equal(run.code, 0);
		assert_int_equal(run.fake.requests[NFT_MSG_GETRULE] == 0, off == 0);
		assert_int_equal(run.r.changes->count == 0, off == 0);
		assert_int_equal(run.r.applied, off == 1);
		/* What was not looked at proves nothing; what was read back does. */
		assert_int_equal(run.r.clean_generation, off == 1 ? run.fake.generation : 0);
		run_done(&run);
	}
	struct run run;

	run_begin(&run, "tls-required", "tls-required");
	run_it(&run);
	assert_int_equal(run.r.clean_generation, run.fake.generation);
	run_done(&run);
}

static void test_plan(void **state)
{
	struct run run;

	(void)state;
	run_begin(&run, "tls-required", "tls-off");
	run.r.write = false;
	run_it(&run);
	assert_int_equal(run.code, 0);
	assert_false(run.r.applied);
	assert_true(run.r.changes->count > 0);
	assert_int_equal(run.fake.batches, 0);
	run_done(&run);
}

static void test_remove(void **state)
{
	struct ruleset *nothing = ruleset_new();
	struct run run;

	(void)state;
	run_begin(&run, "tls-required", "tls-required");
	run.r.expected = nothing;
	run.r.policy = NULL;
	run_it(&run);
	assert_int_equal(run.code, 0);
	assert_true(run.r.applied);
	assert_int_equal(run.fake.store.count, 0);
	run_done(&run);
	/* A second time there is nothing to do. */
	run_begin(&run, "tls-required", NULL);
	run.r.expected = nothing;
	run_it(&run);
	assert_int_equal(run.code, 0);
	assert_false(run.r.applied);
	assert_int_equal(run.fake.batches, 0);
	run_done(&run);
	ruleset_free(nothing);
}

static const struct row {
	const char *name;
	struct fault fault;
	int code;
	const char *message;
	const char *hint;
	bool applied;
	bool in_force;
	size_t batches;
	unsigned int redone;
} rows[] = {
	{"somebody was faster, once", {FAULT_OVERTAKE, FAULT_BATCH, 0, 1}, 0, NULL, NULL, true, true, 2, 1},
	{"somebody was faster, ten times", {FAULT_OVERTAKE, FAULT_BATCH, 0, 10}, 0, NULL, NULL, true, true, 11, 10},
	{"somebody is always faster", {FAULT_OVERTAKE, FAULT_BATCH, 0, FOREVER}, -EAGAIN,
		"somebody else changed the kernel's ruleset during each of 60 attempts", "nft monitor", false, false,
		60, 59},
	/* Committed, and nobody heard it: reading back tells. */
	{"ENOBUFS, committed", {FAULT_RECEIVE, FAULT_BATCH, -ENOBUFS, 1}, 0, NULL, NULL, true, true, 1, 0},
	{"a truncated answer, committed", {FAULT_TRUNCATED, FAULT_BATCH, 0, 1}, 0, NULL, NULL, true, true, 1, 0},
	{"ENOBUFS, not committed", {FAULT_LOSE, FAULT_BATCH, -ENOBUFS, 1}, 0, NULL, NULL, true, true, 2, 1},
	{"ENOBUFS, never committed", {FAULT_LOSE, FAULT_BATCH, -ENOBUFS, FOREVER}, -EAGAIN, "each of 60 attempts",
		"nft monitor", false, false, 60, 59},
	{"stored less than was sent", {FAULT_STORE_LESS, FAULT_BATCH, 0, 1}, -EIO,
		"the kernel acknowledged the transaction, but stored something else: chain "
		"refuse_fast_open rule 4: expected 'meta l4proto tcp counter name \"refused_plaintext\" reject with "
		"tcp "
		"reset', read back ''",
		"please report it", false, false, 1, 0},
	{"no room to send", {FAULT_SEND, FAULT_BATCH, -EMSGSIZE, 1}, -EMSGSIZE, "send buffer", "wmem_max", false, false,
		0, 0},
	{"no memory to send", {FAULT_SEND, FAULT_BATCH, -ENOBUFS, FOREVER}, -ENOMEM, "cannot send to the kernel", NULL,
		false, false, 0, 0},
	{"cannot be read", {FAULT_ERROR_INSIDE, NFT_MSG_GETGEN, -EPERM, 1}, -EPERM, "Operation not permitted",
		"run as root", false, false, 0, 0},
	/* The first reading is from before: its torn dump is read again, and no transaction is redone. */
	{"a torn dump", {FAULT_TEAR_GENERATION, NFT_MSG_GETRULE, 0, 1}, 0, NULL, NULL, true, true, 1, 0},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct run run;

		run_begin(&run, "tls-required", "tls-off");
		fake_fault(&run.fake, rows[i].fault);
		run_it(&run);
		if (run.code != rows[i].code)
			fail_msg("%s: %d %s", rows[i].name, run.code, run.err.message);
		if (rows[i].message && !strstr(run.err.message, rows[i].message))
			fail_msg("%s: %s", rows[i].name, run.err.message);
		if (rows[i].hint && !strstr(run.err.hint, rows[i].hint))
			fail_msg("%s: hint: %s", rows[i].name, run.err.hint);
		if (run.r.applied != rows[i].applied || in_force(&run) != rows[i].in_force ||
			run.fake.batches != rows[i].batches || run.r.redone != rows[i].redone)
			fail_msg("%s: applied %d, in force %d, %zu transactions, redone %u", rows[i].name,
				run.r.applied, in_force(&run), run.fake.batches, run.r.redone);
		/* "Applied" is never said of what is not there. */
		assert_true(!run.r.applied || in_force(&run));
		/* Minutes of pauses, in no time. */
		assert_true(run.fake.now < 60);
		run_done(&run);
	}
}

/* --- new lists, made ready in a transaction of their own --- */

/* A list that is in force gets a part more, as one does that outgrows its set. */
static void prepare_begin(struct run *run)
{
	static const char part[] = "clients_v4_10.0.0.0_9";
	struct ruleset *r;
	struct set *set;
	struct rule *rule;

	run_begin(run, "tls-required", "tls-required");
	r = run->compiled.ruleset;
	set = ruleset_add_set(r, part, WIDTH_IPV4);
	set->interval = true;
	refill(set, "10.0.0.0/16");
	rule = chain_add_rule(ruleset_add_chain(r, part));
	rule_add_term(rule, &(struct term){.kind = TERM_TEST, .selector = SELECT_NFPROTO, .value = {0, 2}}, NULL);
	rule_add_term(rule, &(struct term){.kind = TERM_LOOKUP, .selector = SELECT_IP_SADDR}, part);
	add_verdict_term(rule, VERDICT_RETURN, NULL);
	add_verdict_term(insert_rule(mutable_chain(r, "clients"), 1), VERDICT_JUMP, part);
}

static void test_prepare(void **state)
{
	static const struct {
		const char *name;
		struct fault fault;
		size_t batches;
		unsigned int redone;
	} faults[] = {
		{"nothing goes wrong", {FAULT_NONE, 0, 0, 0}, 2, 0},
		{"overtaken", {FAULT_OVERTAKE, FAULT_BATCH, 0, 1}, 3, 1},
		{"overtaken twice", {FAULT_OVERTAKE, FAULT_BATCH, 0, 2}, 4, 2},
		{"overtaken three times", {FAULT_OVERTAKE, FAULT_BATCH, 0, 3}, 5, 3},
		{"answer lost, committed", {FAULT_RECEIVE, FAULT_BATCH, -ENOBUFS, 1}, 2, 0},
		{"lost", {FAULT_LOSE, FAULT_BATCH, -ENOBUFS, 1}, 2, 0},
		{"stored less", {FAULT_STORE_LESS, FAULT_BATCH, 0, 1}, 2, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		struct run run;
		bool chain = false;

		prepare_begin(&run);
		if (faults[i].fault.kind)
			fake_fault(&run.fake, faults[i].fault);
		run_it(&run);
		if (run.code)
			fail_msg("%s: %s", faults[i].name, run.err.message);
		assert_true(run.r.applied);
		assert_true(in_force(&run));
		if (run.fake.batches != faults[i].batches || run.r.redone != faults[i].redone)
			fail_msg("%s: %zu transactions, redone %u", faults[i].name, run.fake.batches, run.r.redone);
		/* The report tells of the whole way, not of its second half. */
		for (size_t k = 0; k < run.r.changes->count; k++)
			chain = chain || (run.r.changes->changes[k].kind == CHANGE_ADD &&
						 run.r.changes->changes[k].object == OBJECT_SET &&
						 strcmp(run.r.changes->changes[k].expected_set->name,
							 "clients_v4_10.0.0.0_9") == 0);
		if (!chain)
			fail_msg("%s: the new list is not reported", faults[i].name);
		run_done(&run);
	}
}

/* Refused: then without it. If that is refused as well, it is said. */
static int refuse_first(struct fake *fake)
{
	fake->refusal_count = fake->batches == 1;
	fake->refusals[0] = (struct scripted_refusal){.index = 1, .code = -EINVAL};
	return 0;
}

static void test_prepare_refused(void **state)
{
	struct run run;

	(void)state;
	prepare_begin(&run);
	run.fake.meddle = refuse_first;
	run_it(&run);
	if (run.code)
		fail_msg("%s", run.err.message);
	assert_true(run.r.applied);
	assert_true(in_force(&run));
	assert_int_equal(run.fake.batches, 2);
	run_done(&run);

	prepare_begin(&run);
	run.fake.refusals[run.fake.refusal_count++] = (struct scripted_refusal){.index = 1, .code = -EPERM};
	run_it(&run);
	assert_int_equal(run.code, -EPERM);
	assert_non_null(strstr(run.err.message, "Operation not permitted"));
	assert_false(run.r.applied);
	assert_int_equal(run.fake.batches, 2);
	run_done(&run);
}

/* --- whatever happened to the table, it is mended --- */

static void heal(const struct mutation *first, const struct mutation *second)
{
	struct compiled observed = compile_golden("everything");
	struct run run;

	apply_mutation(first, observed.ruleset);
	if (second)
		apply_mutation(second, observed.ruleset);
	run_begin(&run, "everything", NULL);
	fake_load(&run.fake, observed.ruleset);
	run_it(&run);
	if (run.code || !in_force(&run))
		fail_msg("%s, %s: %s", first->name, second ? second->name : "", run.err.message);
	run_done(&run);
	compiled_done(&observed);
}

/* A new chain with a rule that the kernel cannot take yet, since the map it asks is a set, and a new list beside it. */
static void mutate_in_the_way(struct ruleset *r)
{
	mutate_map_to_set(r);
	for (size_t c = 0; c < r->chain_count; c++)
		for (size_t i = r->chains[c].rule_count; i-- > 0;) {
			const struct rule *rule = &r->chains[c].rules[i];
			const struct term *last = &rule->terms[rule->term_count - 1];

			if (last->kind == TERM_VERDICT && same_string(last->name, "judge"))
				delete_rule(&r->chains[c], i);
		}
	delete_chain(r, "judge");
	mutate_set_gone(r);
}

static void test_heal(void **state)
{
	static const struct mutation in_the_way = {.name = "in the way", .mutate = mutate_in_the_way};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(mutations); i++)
		if (!mutations[i].model_only && !mutations[i].long_list)
			heal(&mutations[i], NULL);
	heal(&in_the_way, NULL);
}

/* Two at once, where the second is possible after the first. */
static void test_heal_pairs(void **state)
{
	static void (*const firsts[])(struct ruleset *) = {mutate_dormant, mutate_elements_widened, mutate_target_chain,
		mutate_chain_extra_referred, mutate_policy_and_rule, mutate_set_shape, mutate_set_extra_referred,
		mutate_rule_before_label, mutate_counter_referred};
	static void (*const seconds[])(struct ruleset *) = {mutate_elements_ipv6, mutate_port_added, mutate_priority,
		mutate_rule_gone, mutate_environment, mutate_chain_gone, mutate_rules_swapped, mutate_chain_extra_hook};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(firsts); i++)
		for (size_t k = 0; k < ARRAY_SIZE(seconds); k++) {
			struct mutation first = {.name = "first", .mutate = firsts[i]};
			struct mutation second = {.name = "second", .mutate = seconds[k]};

			if (testing_thorough() || (i + k) % 4 == 0)
				heal(&first, &second);
		}
}

/* --- others change our own table while we work --- */

static int add_chain_of_theirs(struct fake *fake)
{
	struct ruleset *theirs = ruleset_new();
	struct netlink *netlink = codec_netlink();
	struct batch batch = {0};
	_cleanup_free_ char *name = mem_format("theirs%zu", fake->batches);

	if (fake->batches <= 3) {
		ruleset_add_chain(theirs, name);
		batch_begin(&batch, netlink, 1);
		batch_add_chain(&batch, &theirs->chains[0]);
		assert_int_equal(store_apply(&fake->store, batch_message(batch.data, batch.used, 1)), 0);
		fake->generation++;
	}
	batch_done(&batch);
	netlink_close(netlink);
	ruleset_free(theirs);
	return 0;
}

static void test_contention(void **state)
{
	struct run run;

	(void)state;
	run_begin(&run, "tls-required", "tls-off");
	run.fake.meddle = add_chain_of_theirs;
	run_it(&run);
	assert_int_equal(run.code, 0);
	assert_true(run.r.applied);
	assert_true(in_force(&run));
	assert_int_equal(run.fake.batches, 4);
	assert_int_equal(run.r.redone, 3);
	/* The report is about what the last transaction did: theirs went with it. */
	size_t gone = 0;

	for (size_t i = 0; i < run.r.changes->count; i++)
		gone += run.r.changes->changes[i].kind == CHANGE_REMOVE &&
			run.r.changes->changes[i].object == OBJECT_CHAIN;
	assert_int_equal(gone, 3);
	run_done(&run);
}

/* Others commit without pause, before, during and after whatever we do. As long as it is about other tables it costs
 * two attempts, and then nothing stands in our way; and what is wrong then is known to be the kernel's doing. */
static ssize_t send_under_fire(void *data, const void *bytes, size_t length)
{
	struct fake *fake = data;
	ssize_t sent = fake_send(data, bytes, length);

	fake_move(fake, false);
	return sent;
}

static void test_under_fire(void **state)
{
	static const struct {
		const char *name;
		enum move move;
		struct fault fault;
		int code;
		const char *message;
		size_t batches; /* 0 = any number */
	} fires[] = {
		{"another table", MOVE_TABLE, {FAULT_OVERTAKE, FAULT_BATCH, 0, 20}, 0, NULL, 21},
		{"elements of another table", MOVE_ELEMENTS, {FAULT_OVERTAKE, FAULT_BATCH, 0, 1}, 0, NULL, 2},
		{"no answer, committed", MOVE_TABLE, {FAULT_RECEIVE, FAULT_BATCH, -ENOBUFS, 1}, 0, NULL, 1},
		{"no answer, not committed", MOVE_TABLE, {FAULT_LOSE, FAULT_BATCH, -ENOBUFS, 1}, 0, NULL, 2},
		{"no way through", MOVE_TABLE, {FAULT_OVERTAKE, FAULT_BATCH, 0, FOREVER}, -EAGAIN,
			"faster than each attempt to commit", 0},
		{"stored less", MOVE_TABLE, {FAULT_STORE_LESS, FAULT_BATCH, 0, 1}, -EIO, "stored something else", 1},
		{"ours", MOVE_OURS, {FAULT_NONE, 0, 0, 0}, -EAGAIN, "changed during every attempt to read it", 0},
		{"lost", MOVE_LOST, {FAULT_NONE, 0, 0, 0}, -EAGAIN, "changed during every attempt to read it", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fires); i++) {
		struct run run;
		struct transport transport;

		run_begin(&run, "tls-required", "tls-off");
		nft_close(run.r.nft);
		run.fake.audible = true;
		run.fake.move = fires[i].move;
		if (fires[i].fault.kind)
			fake_fault(&run.fake, fires[i].fault);
		transport = fake_transport(&run.fake);
		transport.send = send_under_fire;
		run.r.nft = nft_open_transport(&transport);
		run_it(&run);
		if (run.code != fires[i].code || (fires[i].message && !strstr(run.err.message, fires[i].message)))
			fail_msg("%s: %d %s", fires[i].name, run.code, run.err.message);
		if (fires[i].batches && run.fake.batches != fires[i].batches)
			fail_msg("%s: %zu transactions", fires[i].name, run.fake.batches);
		assert_true(run.r.applied == (fires[i].code == 0));
		assert_true(!run.r.applied || in_force(&run));
		assert_true(run.fake.now < 60);
		run_done(&run);
	}
}

/* Transactions that come too late are disturbances like any other, even where all reading goes well. */
static void test_overtaken(void **state)
{
	struct run run;

	(void)state;
	run_begin(&run, "tls-required", "tls-off");
	run.fake.audible = true;
	fake_fault(&run.fake, (struct fault){FAULT_OVERTAKE, FAULT_BATCH, 0, 500});
	run_it(&run);
	assert_int_equal(run.code, 0);
	assert_true(run.r.applied && in_force(&run));
	assert_int_equal(run.fake.batches, 501);
	assert_int_equal(run.r.redone, NFT_PATIENCE);
	run_done(&run);
}

/* Somebody else does our work while we prepare it: then there is nothing left to do, and we did not do it. */
static const struct ruleset *somebody_elses;

static int do_it_for_us(struct fake *fake)
{
	store_done(&fake->store);
	fake_load(fake, somebody_elses);
	return 0;
}

static void test_done_by_others(void **state)
{
	struct run run;

	(void)state;
	run_begin(&run, "tls-required", "tls-off");
	somebody_elses = run.compiled.ruleset;
	run.fake.meddle = do_it_for_us;
	run_it(&run);
	assert_int_equal(run.code, 0);
	assert_false(run.r.applied);
	assert_int_equal(run.r.changes->count, 0);
	assert_true(in_force(&run));
	run_done(&run);
}

/* Another transaction behind ours, before we read back, that undoes a part of it: mended, not reported as a bug. */
static ssize_t send_then_move(void *data, const void *bytes, size_t length)
{
	struct fake *fake = data;
	ssize_t sent = fake_send(data, bytes, length);

	if (((const struct nlmsghdr *)bytes)->nlmsg_type == NFNL_MSG_BATCH_BEGIN && fake->batches == 1)
		fake->generation++;
	return sent;
}

static void test_undone_by_others(void **state)
{
	struct run run;
	struct transport transport;

	(void)state;
	run_begin(&run, "tls-required", "tls-off");
	nft_close(run.r.nft);
	fake_fault(&run.fake, (struct fault){FAULT_STORE_LESS, FAULT_BATCH, 0, 1});
	transport = fake_transport(&run.fake);
	transport.send = send_then_move;
	run.r.nft = nft_open_transport(&transport);
	run_it(&run);
	if (run.code)
		fail_msg("%s", run.err.message);
	assert_true(run.r.applied);
	assert_true(in_force(&run));
	assert_int_equal(run.fake.batches, 2);
	run_done(&run);
}

/* Our transaction was lost, and one of somebody else's moved the generation by the one step that ours would have: what
 * is found then is no answer to what we sent. */
static int move_once(struct fake *fake)
{
	fake->generation += fake->batches == 1;
	return 0;
}

static void test_lost_and_moved(void **state)
{
	struct run run;

	(void)state;
	run_begin(&run, "tls-required", "tls-off");
	run.fake.meddle = move_once;
	fake_fault(&run.fake, (struct fault){FAULT_LOSE, FAULT_BATCH, -ENOBUFS, 1});
	run_it(&run);
	if (run.code)
		fail_msg("%s", run.err.message);
	assert_true(run.r.applied);
	assert_true(in_force(&run));
	assert_int_equal(run.fake.batches, 2);
	assert_int_equal(run.r.redone, 1);
	run_done(&run);
}

/* What the kernel refuses is reported with the policy's line, and nothing is changed. */
static void test_refused(void **state)
{
	struct run run;

	(void)state;
	run_begin(&run, "tls-required", NULL);
	run.fake.refusals[run.fake.refusal_count++] =
		(struct scripted_refusal){.index = 2, .code = -ENOMEM, .text = "no room"};
	run_it(&run);
	assert_int_equal(run.code, -ENOMEM);
	assert_string_equal(
		run.err.message, "the kernel refused the counter refused_source: Cannot allocate memory: no room");
	assert_string_equal(run.err.file, "tests/golden/ruleset/tls-required.conf");
	assert_int_equal(run.err.line, 3);
	assert_int_equal(run.err.stage, ERR_COMMIT);
	assert_int_equal(run.fake.batches, 1);
	assert_int_equal(run.fake.store.count, 0);
	run_done(&run);
}

/* Reading back fails: nobody knows, and that is said. */
static ssize_t send_then_die(void *data, const void *bytes, size_t length)
{
	struct fake *fake = data;
	const struct nlmsghdr *first = bytes;

	if (fake->batches && first->nlmsg_type != NFNL_MSG_BATCH_BEGIN)
		return -EIO;
	return fake_send(data, bytes, length);
}

static void test_unread(void **state)
{
	struct run run;
	struct transport transport;

	(void)state;
	run_begin(&run, "tls-required", NULL);
	nft_close(run.r.nft);
	transport = fake_transport(&run.fake);
	transport.send = send_then_die;
	run.r.nft = nft_open_transport(&transport);
	run_it(&run);
	assert_int_equal(run.code, -EIO);
	assert_false(run.r.applied);
	assert_non_null(strstr(run.err.message, "after the transaction was sent: "));
	run_done(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_apply),
		cmocka_unit_test(test_nothing_to_do),
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_prepare),
		cmocka_unit_test(test_prepare_refused),
		cmocka_unit_test(test_heal),
		cmocka_unit_test(test_heal_pairs),
		cmocka_unit_test(test_contention),
		cmocka_unit_test(test_under_fire),
		cmocka_unit_test(test_overtaken),
		cmocka_unit_test(test_done_by_others),
		cmocka_unit_test(test_undone_by_others),
		cmocka_unit_test(test_lost_and_moved),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_unread),
	};

	return cmocka_run_group_tests_name("reconcile", tests, NULL, NULL);
}
