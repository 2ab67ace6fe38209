/* SPDX-License-Identifier: GPL-3.0-or-later */

/* One look of watch: read, compare with the policy and with the last look, heal, and say what is new. */

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <time.h>

#include "watch.h"

/* Differences that are told one by one; a whole table that is gone is one. */
#define DRIFT_TOLD 20
/* How long one waits for another dflyguard that changes the table; then it is tried again. */
#define LOCK_SECONDS 2

/* --- differences, as numbers that can be kept --- */

static uint64_t add_text(uint64_t hash, const char *text)
{
	do
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
	while (*text++);
	return hash;
}

static uint64_t change_number(const struct change *change)
{
	_cleanup_text_ struct text text = {0};

	text_printf(&text, "%s ", change_kind_name(change->kind));
	change_object_text(change, &text);
	text_append_char(&text, '\n');
	change_expected_text(change, &text);
	text_append_char(&text, '\n');
	change_observed_text(change, &text);
	return add_text(0xcbf29ce484222325u, text_string(&text));
}

static int compare(const void *left, const void *right)
{
	const uint64_t a = *(const uint64_t *)left;
	const uint64_t b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

static bool was_there(const struct watch *watch, uint64_t number)
{
	return watch->drift_count && bsearch(&number, watch->drift, watch->drift_count, sizeof(number), compare);
}

static void remember(struct watch *watch, uint64_t *numbers, size_t count)
{
	free(watch->drift);
	watch->drift = numbers;
	watch->drift_count = count;
}

/* --- what is new --- */

static struct report_event drift_event(const struct watch *watch, const struct change *change)
{
	return (struct report_event){.event = EVENT_DRIFT,
		.change = change,
		.process = watch->culprit.process,
		.process_name = watch->culprit.name};
}

/* Tells differences that the last look did not find, and remembers all. How many were new. */
static size_t tell_drift(struct watch *watch, const struct changeset *changes)
{
	uint64_t *numbers = changes->count ? mem_zero(changes->count, sizeof(*numbers)) : NULL;
	size_t fresh = 0;
	size_t stayed = 0;

	for (size_t i = 0; i < changes->count; i++) {
		numbers[i] = change_number(&changes->changes[i]);
		if (was_there(watch, numbers[i])) {
			stayed++;
			continue;
		}
		if (fresh++ < (changes->table_missing ? 1 : DRIFT_TOLD))
			watch_tell(watch, drift_event(watch, &changes->changes[i]));
	}
	if (!changes->table_missing && fresh > DRIFT_TOLD)
		watch_say(
			watch, EVENT_DRIFT, "and %zu more differences: `dflyguard plan` shows all", fresh - DRIFT_TOLD);
	if (changes->count)
		qsort(numbers, changes->count, sizeof(*numbers), compare);
	/* A table that is gone has all others in it. */
	if (stayed < watch->drift_count && !changes->table_missing) {
		size_t gone = watch->drift_count - stayed;

		watch_say(watch, EVENT_MENDED, "%zu %s gone%s", gone, gone == 1 ? "difference is" : "differences are",
			changes->count ? "" : ": the kernel's table is what the policy says");
	}
	remember(watch, numbers, changes->count);
	return fresh;
}

static bool has_finding(const struct findings *findings, const struct finding *finding)
{
	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *other = &findings->items[i];

		if (other->check == finding->check && other->outcome == finding->outcome &&
			other->severity == finding->severity && strcmp(other->subject, finding->subject) == 0 &&
			strcmp(other->message, finding->message) == 0 &&
			same_string(other->evidence, finding->evidence))
			return true;
	}
	return false;
}

/* Differences are told one by one already. */
static bool worth_telling(const struct finding *finding)
{
	return (finding->outcome == OUTCOME_FAIL || finding->outcome == OUTCOME_UNKNOWN) &&
	       strcmp(finding->check->id, "firewall.drift") != 0;
}

static void tell_missing(
	struct watch *watch, enum event event, const struct findings *these, const struct findings *those)
{
	for (size_t i = 0; i < these->count; i++)
		if (worth_telling(&these->items[i]) && !has_finding(those, &these->items[i]))
			watch_tell(watch, (struct report_event){.event = event, .finding = &these->items[i]});
}

/* --- healing --- */

bool watch_holds_back(struct watch *watch)
{
	_cleanup_(state_done) struct state state = state_open();
	struct kept_policy kept = {0};

	if (state_read(&state, STATE_PENDING, true, &kept, NULL) == 0) {
		if (!watch->waiting)
			watch_say(watch, EVENT_POLICY,
				"a policy waits for `dflyguard confirm`: nothing is put back until then");
		watch->waiting = kept.fingerprint;
	} else if (watch->waiting) {
		if (state_read(&state, STATE_CURRENT, true, &kept, NULL) < 0 || kept.fingerprint != watch->waiting)
			watch->undone = watch->waiting;
		if (watch->undone == watch->follow.fingerprint)
			watch_say(watch, EVENT_POLICY,
				"%s was undone, since nobody confirmed it: it is not put in force until it changes, or "
				"SIGHUP",
				watch->follow.path);
		watch->waiting = 0;
	}
	kept_done(&kept);
	return watch->waiting || (watch->undone && watch->undone == watch->follow.fingerprint);
}

/* So that a boot, and a rollback, lead to it. What cannot be remembered is in force all the same. */
static void keep(const struct watch *watch, const struct state *state)
{
	const struct follow *follow = &watch->follow;
	struct kept_policy kept;

	if (state->lock < 0)
		return;
	kept = kept_from_policy(
		follow->policy, follow->environment, follow->fingerprint, policy_digest(follow->policy));
	state_keep(state, &kept, NULL);
	kept_done(&kept);
}

static int run(struct watch *watch, struct reconcile *r, struct err *err)
{
	int code;

	r->nft = TAKE_PTR(watch->nft);
	code = reconcile(r, err);
	watch->nft = TAKE_PTR(r->nft);
	return code;
}

/* 0, also where there was nothing left to do; or a negative errno value with `err`. */
static int heal(struct watch *watch, double now, struct err *err)
{
	_cleanup_(state_done) struct state state = state_open();
	struct progress silent = {0};
	int locked = state_lock(&state, LOCK_SECONDS, err);

	if (locked == -EAGAIN)
		return locked;
	/* Where nothing can be remembered it is healed all the same. */
	*err = (struct err){0};
	/* Under the lock nobody begins to try one. */
	if (watch_holds_back(watch))
		return 0;
	struct ruleset *expected =
		ruleset_compile(watch->follow.policy, watch->follow.environment, (uint64_t)time(NULL));
	struct reconcile r = {.expected = expected, .policy = watch->follow.policy, .write = true, .progress = &silent};
	int code = run(watch, &r, err);

	if (code == 0) {
		keep(watch, &state);
		if (!r.applied) {
			watch_say(watch, EVENT_MENDED, "somebody else put it back first, another watch it may be");
		} else {
			watch->heals++;
			fight_healed(&watch->fight, now);
			watch_say(watch, EVENT_HEALED, "%zu %s put back in one transaction, and read back",
				watch->drift_count, watch->drift_count == 1 ? "difference" : "differences");
		}
		remember(watch, NULL, 0);
		memset(watch->drift_kinds, 0, sizeof(watch->drift_kinds));
	} else {
		err_prefix(err, "healing");
	}
	reconcile_done(&r);
	ruleset_free(expected);
	return code;
}

/* --- looking --- */

bool watch_ends_silent(const struct watch *watch)
{
	uint16_t ports[3];
	const struct environment *environment = watch->follow.environment;

	return watch->options->heal && environment->handshake_timeout &&
	       silent_ports(watch->follow.policy, environment, ports);
}

static void judge(struct watch *watch, const struct audit_facts *facts, bool readable)
{
	_cleanup_free_ char *rival =
		watch->rival.process ? mem_format("%s (process %u)", watch->rival.name, watch->rival.process) : NULL;
	struct watch_facts own = {.policy_path = watch->follow.path,
		.policy_bad = watch->follow.bad,
		.heals = watch->options->heal,
		.fight = watch->fight.stopped,
		.rival = rival,
		.handshake = watch_ends_silent(watch),
		.handshake_unknown = watch->handshake};
	struct findings found = {0};

	audit_watch(&own, &found);
	audit_run(facts, &found);
	findings_done(&watch->unread);
	if (!readable) {
		/* Each is unknown for the one reason that was told. */
		watch->unread = found;
		return;
	}
	tell_missing(watch, EVENT_FINDING, &found, &watch->findings);
	tell_missing(watch, EVENT_RESOLVED, &watch->findings, &found);
	findings_done(&watch->findings);
	watch->findings = found;
}

static int read_others(struct watch *watch, struct foreign **ret, struct err *err)
{
	struct foreign_question question;

	foreign_ask(watch->follow.policy, watch->follow.environment, &question);
	return watch->nft ? nft_read_foreign(watch->nft, &question, ret, err)
			  : err_set(err, ENOTCONN, ERR_NETLINK, "the kernel was not asked");
}

/* A number that no look has, where it cannot be told. */
static uint64_t sockets_number(const struct watch *watch)
{
	struct host_question question;
	uint64_t number;

	host_ask(watch->follow.policy, false, &question);
	return host_sockets_number(&question, &number, NULL) < 0 ? 0 : number;
}

bool watch_sockets_moved(const struct watch *watch)
{
	return sockets_number(watch) != watch->sockets;
}

/* Going through all processes is dear; so it is done only where the sockets are others, or now and then. */
static void read_host(struct watch *watch, double now)
{
	uint64_t number = sockets_number(watch);

	if (watch->host.host && number && number == watch->sockets && now < watch->host_until)
		return;
	host_facts_read(watch->follow.policy, &watch->host);
	watch->sockets = number;
	watch->host_until = now + (double)watch->options->full_every;
}

/* What somebody did, since the last look that could be made. */
static void note_fresh(struct watch *watch, size_t fresh, double now)
{
	bool stopped = watch->fight.stopped;

	if (!fresh)
		return;
	fight_found(&watch->fight, now);
	if (watch->fight.stopped && !stopped)
		watch->rival = watch->culprit;
}

static int look(struct watch *watch, double now, struct reconcile *r, struct err *err)
{
	bool first = !watch->looked;
	size_t fresh;
	int code;

	watch->generation = 0;
	watch->known = false;
	code = run(watch, r, err);
	if (code < 0)
		return code;
	watch->known = watch->looked = true;
	watch->generation = r->before.generation;
	metrics_count(r->changes, watch->drift_kinds);
	fresh = tell_drift(watch, r->changes);
	if (!first)
		note_fresh(watch, fresh, now);
	if (!watch->options->heal || !r->changes->count || !fight_may_heal(&watch->fight, now))
		return 0;
	if (watch_holds_back(watch))
		return 0;
	/* Whatever comes of it must be looked at. */
	watch->generation = 0;
	return heal(watch, now, err);
}

bool watch_look(struct watch *watch, double now)
{
	struct progress silent = {0};
	struct reconcile r = {.expected = watch->follow.expected, .policy = watch->follow.policy, .progress = &silent};
	struct err err = {0};
	struct err foreign_err = {0};
	struct foreign *foreign = NULL;
	struct audit_facts facts = {.policy = watch->follow.policy, .environment = watch->follow.environment};
	int code = look(watch, now, &r, &err);
	int others = read_others(watch, &foreign, &foreign_err);

	watch_trouble(watch, &watch->trouble, code < 0 ? &err : others < 0 ? &foreign_err : NULL);
	/* What was healed a moment ago is read again at the next look, and not judged by what it was. */
	if (watch->known && (code < 0 || watch->drift_count || r.changes->count == 0))
		facts.drift = r.changes;
	else
		facts.unchanged = watch->known;
	facts.drift_unknown = err.message;
	facts.foreign = foreign;
	facts.foreign_unknown = foreign_err.message;
	read_host(watch, now);
	host_facts_lend(&watch->host, &facts);
	audit_count_listeners(&facts, watch->listeners);
	judge(watch, &facts, watch->known && others == 0);
	foreign_free(foreign);
	reconcile_done(&r);
	watch->culprit = (struct nft_culprit){0};
	watch->looked_fully = watch->asked = (uint64_t)time(NULL);
	watch_let_go(watch);
	if (code < 0 || others < 0) {
		/* Whatever is wrong with the socket is gone with it. */
		nft_ear_close(watch->ear);
		watch->ear = NULL;
		nft_close(watch->nft);
		watch->nft = NULL;
	}
	/* Back to the system: what a look needs, it needs a few times an hour. */
	malloc_trim(0);
	return code == 0 && others == 0;
}

void watch_let_go(struct watch *watch)
{
	if (watch->nft)
		nft_stop_listening(watch->nft);
}

void watch_metrics(struct watch *watch)
{
	struct ruleset *counters = NULL;
	struct report_metrics metrics = {.environment = watch->follow.environment->name,
		.policy_path = watch->follow.policy->path,
		.fingerprint = watch->follow.fingerprint,
		.conforming = watch->known && !watch->drift_count,
		.drift = watch->known ? watch->drift_kinds : NULL,
		.findings = watch->unread.count ? &watch->unread : &watch->findings,
		.listeners = watch->host.host && !watch->host.host->listeners_read.unknown ? watch->listeners : NULL,
		.looked = watch->asked,
		.looked_fully = watch->looked_fully,
		.watch = true,
		.heals = watch->heals,
		.silent = watch->silent};
	struct err err = {0};

	if (!watch->options->metrics)
		return;
	if (watch->nft && nft_read_counters(watch->nft, &counters, NULL) == 0)
		metrics.observed = counters;
	watch_trouble(watch, &watch->metrics_trouble,
		metrics_write(watch->options->metrics, &metrics, &err) < 0 ? &err : NULL);
	ruleset_free(counters);
}
