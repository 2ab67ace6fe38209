/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Who was not let in. The server tells by ACL LOG, with the source, and by a counter of all failed logins, which is the
 * only one that counts those of HELLO and of the admin port; the kernel tells whom it refused. All of it goes to the
 * policy's alerts. (What the server's log tells is follow_log.c's.)
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "watch.h"

/* A login, INFO and ACL LOG on a connection of their own. */
#define ATTACKS_EVERY 10.0
/* The server does not let us in: then every time is a failed login of ours. */
#define ATTACKS_REFUSED 300.0
#define ATTACKS_SECONDS 60.0
#define REFUSED_EVERY	2.0

/* --- alerts --- */

/* "3 failed logins", and so on. */
static const char *const things[ALERT_ON_COUNT][2] = {
	[ALERT_AUTH_FAILURES] = {"failed login", "failed logins"},
	[ALERT_ACL_DENIALS] = {"command that the ACL denies", "commands that the ACL denies"},
	[ALERT_TLS_ERRORS] = {"failed handshake", "failed handshakes"},
	[ALERT_PLAINTEXT] = {"packet that was no TLS", "packets that were no TLS"},
	[ALERT_REFUSED] = {"refused packet", "refused packets"},
	[ALERT_DANGEROUS_COMMANDS] = {"dangerous command", "dangerous commands"},
	[ALERT_WILDCARD_LISTENER] = {"socket that listens on all addresses", "sockets that listen on all addresses"},
};

/* NULL: it is banned, and `ret_changed` whether it was not before. Else why it is not. The caller frees it. */
static char *ban(struct watch *watch, const struct alert *rule, const struct alert_who *who, bool *ret_changed)
{
	const struct policy *policy = watch->follow.policy;
	const struct environment *environment = watch->follow.environment;
	struct err err = {0};
	size_t changed = 0;

	*ret_changed = false;
	if (!watch->options->heal)
		return mem_string("watch was started without --heal");
	if (watch_holds_back(watch))
		return mem_string("the policy in force is not the one that is watched");
	if (!watch->nft)
		return mem_string("the kernel cannot be asked now");
	struct interval source = ban_widened(policy, environment, who->width, who->address);

	if (ban_source(watch->nft, policy, environment, who->width, source, rule->ban, &changed, &err) < 0)
		return mem_string(err.message);
	*ret_changed = changed > 0;
	return NULL;
}

static void raise_alert(struct watch *watch, const struct alert *rule, const struct alert_who *who, uint64_t count)
{
	char address[INTERVAL_TEXT] = "";
	_cleanup_free_ char *why = NULL;
	_cleanup_text_ struct text message = {0};
	struct report_alert alert = {.on = rule->on, .count = count, .within = rule->within};
	bool changed = false;

	if (who->known)
		alert.source = value_format(who->width, who->address, address);
	text_printf(&message, "%" PRIu64 " %s%s%s within %" PRIu32 " s", count, things[rule->on][count != 1],
		who->known ? " from " : "", address, rule->within);
	if (rule->ban && who->known) {
		why = ban(watch, rule, who, &changed);
		alert.banned = !why;
		alert.not_banned = why;
		alert.ban = rule->ban;
		if (why)
			text_printf(&message, "; not banned: %s", why);
		else
			text_printf(&message, changed ? "; banned for %" PRIu32 " s" : "; banned already", rule->ban);
	} else if (rule->ban) {
		text_append(&message, "; nobody is banned, since nobody tells who it was");
	}
	watch->alerted[rule->on]++;
	watch->banned += changed;
	watch_tell(watch, (struct report_event){.event = EVENT_ALERT,
				  .message = text_string(&message),
				  .alert = &alert,
				  .origin = rule->origin});
}

void attack_note(struct watch *watch, enum alert_on on, const struct alert_who *who, uint64_t count, double when)
{
	const struct policy *policy = watch->follow.policy;
	uint32_t environment = (uint32_t)(watch->follow.environment - policy->environments);
	uint64_t total;
	bool any = false;

	for (uint32_t i = 0; i < policy->alert_count; i++) {
		const struct alert *rule = &policy->alerts[i];

		if (rule->environment != POLICY_EVERY_ENVIRONMENT && rule->environment != environment)
			continue;
		any = true;
		if (rule->on == on && alerts_note(&watch->alerts, rule, i, who, count, when, &total))
			raise_alert(watch, rule, who, total);
	}
	if (!any && alert_standard.on == on &&
		alerts_note(&watch->alerts, &alert_standard, UINT32_MAX, who, count, when, &total))
		raise_alert(watch, &alert_standard, who, total);
}

static bool is_wanted(const struct watch *watch, enum alert_on on)
{
	const struct policy *policy = watch->follow.policy;
	uint32_t environment = (uint32_t)(watch->follow.environment - policy->environments);
	bool any = false;

	for (size_t i = 0; i < policy->alert_count; i++) {
		const struct alert *rule = &policy->alerts[i];

		if (rule->environment != POLICY_EVERY_ENVIRONMENT && rule->environment != environment)
			continue;
		any = true;
		if (rule->on == on)
			return true;
	}
	return !any && alert_standard.on == on;
}

void attack_forget(struct watch *watch)
{
	alerts_done(&watch->alerts);
	/* Another port, or another monitor, may be another server. */
	errand_end(&watch->attacks.errand);
	watch->attacks.begun = watch->attacks.refused_begun = false;
	watch->attacks.next = 0;
}

/* --- ACL LOG and the counter: in the child --- */

static uint64_t add(uint64_t hash, const char *text)
{
	for (const char *byte = text ? text : "-"; *byte; byte++)
		hash = (hash ^ (unsigned char)*byte) * 0x100000001b3u;
	return (hash ^ '\n') * 0x100000001b3u;
}

/* An entry of ACL LOG. Servers that number their entries put what is alike into one, and change the rest of it. */
static uint64_t entry_number(const struct server_denial *denial)
{
	uint64_t hash = 0xcbf29ce484222325u;

	if (denial->entry >= 0) {
		_cleanup_free_ char *number = mem_format("%" PRId64, denial->entry);

		return add(add(hash, number), denial->created);
	}
	hash = add(add(add(add(hash, denial->created), denial->reason), denial->object), denial->user);
	/* Redis before 7.2 tells neither, and puts into one what is alike, whoever it is of. */
	return denial->created ? add(hash, denial->client) : hash;
}

static void put_denial(const struct server_denial *denial, struct text *text, size_t *count)
{
	_cleanup_free_ char *number = mem_format("%016" PRIx64, entry_number(denial));
	_cleanup_free_ char *address = denial->client ? mem_string(denial->client) : NULL;
	char *colon = address ? strrchr(address, ':') : NULL;

	record_begin(text, "denied");
	record_text(text, "number", number);
	record_number(text, "count", denial->count);
	record_number(text, "auth", denial->reason && strcasecmp(denial->reason, "auth") == 0);
	if (colon) {
		*colon = '\0';
		record_text(text, "address", address);
	}
	record_text(text, "age", denial->age);
	record_end(text);
	++*count;
}

static void ask_attacks(void *data, struct text *text, size_t *count)
{
	struct watch *watch = data;
	struct server_facts *server =
		host_facts_ask_attacks(watch->follow.policy, watch->follow.environment, &watch->host);
	const struct server_port *port = server ? &server->ports[0] : NULL;

	record_begin(text, "asked");
	if (!port) {
		record_number(text, "nobody", 1);
	} else {
		record_number(text, "refused", port->login == LOGIN_REFUSED);
		record_number(text, "known", port->asked && port->denials_known);
		if (port->asked && port->auth_failures >= 0)
			record_number(text, "failures", port->auth_failures);
		record_text(text, "why", port->login == LOGIN_REFUSED ? port->login_said : port->why);
	}
	record_end(text);
	++*count;
	for (size_t i = 0; port && i < port->denial_count; i++)
		put_denial(&port->denials[i], text, count);
}

/* --- in watch --- */

static int compare(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

/* How many of the entry were not there before. */
static uint64_t new_of(const struct attacks *attacks, uint64_t number, uint64_t count)
{
	const uint64_t *found = attacks->entry_count ? bsearch(&number, attacks->entries, attacks->entry_count,
							       2 * sizeof(number), compare)
						     : NULL;

	return !found ? count : count > found[1] ? count - found[1] : 0;
}

static bool read_who(const struct record *record, struct alert_who *ret)
{
	const char *address = record_get(record, "address");
	struct interval interval;
	char why[INTERVAL_WHY];

	*ret = (struct alert_who){0};
	if (!address || interval_parse(address, &ret->width, &interval, why) < 0 ||
		value_compare(interval.first, interval.last) != 0)
		return false;
	ret->known = true;
	ret->address = interval.first;
	return true;
}

/* One entry, or several that cannot be told apart. */
struct entry {
	uint64_t number, count;
	const struct record *record; /* the newest of them */
};

static bool read_entry(const struct record *record, struct entry *ret)
{
	const char *number = record_get(record, "number");
	int64_t count;

	if (strcmp(record->name, "denied") != 0 || !number || !record_get_number(record, "count", 1, INT64_MAX, &count))
		return false;
	*ret = (struct entry){.number = strtoull(number, NULL, 16), .count = (uint64_t)count, .record = record};
	return true;
}

static int compare_entries(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;

	/* The newest come first. */
	return a->number != b->number ? compare(&a->number, &b->number)
				      : (a->record > b->record) - (a->record < b->record);
}

/* Sorted, and each once. The caller frees them. */
static struct entry *read_entries(const struct records *records, size_t *ret_count)
{
	struct entry *entries = mem_zero(records->count + 1, sizeof(*entries));
	size_t count = 0, kept = 0;

	for (size_t i = 0; i < records->count; i++)
		count += read_entry(&records->items[i], &entries[count]);
	qsort(entries, count, sizeof(*entries), compare_entries);
	for (size_t i = 0; i < count; i++)
		if (kept && entries[kept - 1].number == entries[i].number)
			entries[kept - 1].count += entries[i].count;
		else
			entries[kept++] = entries[i];
	*ret_count = kept;
	return entries;
}

/* Tells what is new. True where it is a login that failed. */
static bool note_entry(struct watch *watch, const struct record *record, uint64_t fresh, double now)
{
	const char *age = record_get(record, "age");
	double seconds = age ? strtod(age, NULL) : 0;
	bool auth = record_is(record, "auth");
	struct alert_who who;

	/* It was since the last time that we asked, whatever the server says. */
	if (!(seconds >= 0 && seconds <= ATTACKS_EVERY * 2))
		seconds = 0;
	read_who(record, &who);
	attack_note(watch, auth ? ALERT_AUTH_FAILURES : ALERT_ACL_DENIALS, &who, fresh, now - seconds);
	return auth;
}

/* Tells the entries that are new, and remembers all. How many failed logins are among them. */
static uint64_t take_entries(struct watch *watch, const struct records *records, double now)
{
	struct attacks *attacks = &watch->attacks;
	size_t count;
	_cleanup_free_ struct entry *entries = read_entries(records, &count);
	uint64_t *seen = mem_zero(count + 1, 2 * sizeof(*seen));
	uint64_t failures = 0;

	for (size_t i = 0; i < count; i++) {
		uint64_t fresh = new_of(attacks, entries[i].number, entries[i].count);

		seen[2 * i] = entries[i].number;
		seen[2 * i + 1] = entries[i].count;
		if (attacks->begun && fresh && note_entry(watch, entries[i].record, fresh, now))
			failures += fresh;
	}
	free(attacks->entries);
	attacks->entries = seen;
	attacks->entry_count = count;
	return failures;
}

/* What the server counted, but ACL LOG does not have: HELLO, the admin port; and our own knocking, which has both. */
static void take_counter(struct watch *watch, int64_t counter, uint64_t in_log, double now)
{
	struct attacks *attacks = &watch->attacks;
	/* A server that was started anew counts anew. */
	int64_t fresh = counter >= attacks->counter ? counter - attacks->counter : counter;
	bool known = attacks->begun && attacks->counter >= 0;
	int64_t own;

	attacks->counter = counter;
	if (!known)
		return;
	fresh -= (int64_t)in_log < fresh ? (int64_t)in_log : fresh;
	own = fresh < attacks->own_failed ? fresh : attacks->own_failed;
	attacks->own_failed -= own;
	if (fresh > own)
		attack_note(watch, ALERT_AUTH_FAILURES, &(struct alert_who){0}, (uint64_t)(fresh - own), now);
}

static void take_answer(struct watch *watch, const struct records *records, double now)
{
	struct attacks *attacks = &watch->attacks;
	const struct record *asked = records->count ? &records->items[0] : NULL;
	const char *why = asked ? record_get(asked, "why") : NULL;
	struct err err = {0};
	int64_t counter;
	uint64_t in_log;

	if (!asked || record_is(asked, "nobody"))
		return;
	if (!record_is(asked, "known")) {
		/* It is not silently so that failed logins are no more told of. */
		err_set(&err, EACCES, ERR_IO, "who fails to log in cannot be asked: %s",
			why ? why : "the server does not tell");
		watch_trouble(watch, &attacks->trouble, &err);
		if (record_is(asked, "refused"))
			attacks->next = now + ATTACKS_REFUSED;
		return;
	}
	watch_trouble(watch, &attacks->trouble, NULL);
	in_log = take_entries(watch, records, now);
	if (record_get_number(asked, "failures", 0, INT64_MAX, &counter))
		take_counter(watch, counter, in_log, now);
	attacks->begun = true;
}

void attack_hear(struct watch *watch, double now)
{
	struct attacks *attacks = &watch->attacks;
	struct records *records = NULL;
	struct err err = {0};
	int code;

	if (!errand_is_out(&attacks->errand))
		return;
	code = errand_hear(&attacks->errand, now, &records, &err);
	if (code == -EAGAIN)
		return;
	if (code < 0)
		watch_trouble(watch, &attacks->trouble, &err);
	else
		take_answer(watch, records, now);
	records_free(records);
}

/* --- packets that the kernel refused --- */

static int compare_refused(const void *left, const void *right)
{
	const struct refused_seen *a = left, *b = right;

	return a->width != b->width ? (a->width > b->width) - (a->width < b->width)
				    : value_compare(a->address, b->address);
}

static void note_refused(struct watch *watch, const struct refused_seen *now_seen, double now)
{
	const struct attacks *attacks = &watch->attacks;
	const struct alert_who who = {.known = true, .width = now_seen->width, .address = now_seen->address};
	const struct refused_seen *before = attacks->refused_count
						    ? bsearch(now_seen, attacks->refused, attacks->refused_count,
							      sizeof(*now_seen), compare_refused)
						    : NULL;
	/* Who was forgotten by the kernel begins at nothing. */
	uint64_t all = before && before->all <= now_seen->all ? before->all : 0;
	uint64_t plaintext = before && before->plaintext <= now_seen->plaintext ? before->plaintext : 0;

	attack_note(watch, ALERT_REFUSED, &who, now_seen->all - all, now);
	attack_note(watch, ALERT_PLAINTEXT, &who, now_seen->plaintext - plaintext, now);
}

static void look_at_refused(struct watch *watch, double now)
{
	struct attacks *attacks = &watch->attacks;
	struct refused_sources list = {0};
	struct refused_seen *seen;

	/* Statistics: what cannot be read now is read the next time. */
	if (!watch->nft || nft_read_refused(watch->nft, watch->follow.expected, &list, NULL) < 0) {
		refused_sources_done(&list);
		return;
	}
	seen = mem_zero(list.count + 1, sizeof(*seen));
	for (size_t i = 0; i < list.count; i++) {
		const struct refused_source *source = &list.sources[i];

		seen[i] = (struct refused_seen){.width = source->width, .address = source->address};
		for (size_t k = 0; k < source->refusal_count; k++) {
			const struct refusal *refusal = &source->refusals[k];

			/* Of whom is banned already nobody need be told again. */
			seen[i].all += refusal->reason == REASON_BANNED ? 0 : refusal->packets;
			seen[i].plaintext += refusal->reason == REASON_PLAINTEXT ? refusal->packets : 0;
		}
	}
	qsort(seen, list.count, sizeof(*seen), compare_refused);
	for (size_t i = 0; attacks->refused_begun && i < list.count; i++)
		note_refused(watch, &seen[i], now);
	free(attacks->refused);
	attacks->refused = seen;
	attacks->refused_count = list.count;
	attacks->refused_begun = true;
	refused_sources_done(&list);
}

/* --- sockets --- */

void attack_sockets(struct watch *watch, double now)
{
	bool wildcard = watch->listeners[LISTENER_WILDCARD] + watch->listeners[LISTENER_PUBLISHED] > 0;

	if (wildcard && !watch->attacks.was_wildcard)
		attack_note(watch, ALERT_WILDCARD_LISTENER, &(struct alert_who){0},
			watch->listeners[LISTENER_WILDCARD] + watch->listeners[LISTENER_PUBLISHED], now);
	watch->attacks.was_wildcard = wildcard;
}

void attack_step(struct watch *watch, double now)
{
	struct attacks *attacks = &watch->attacks;
	bool asks = watch->follow.environment->monitor_password_file &&
		    (is_wanted(watch, ALERT_AUTH_FAILURES) || is_wanted(watch, ALERT_ACL_DENIALS));
	struct err err = {0};

	if (now >= attacks->next_refused && (is_wanted(watch, ALERT_REFUSED) || is_wanted(watch, ALERT_PLAINTEXT))) {
		attacks->next_refused = now + REFUSED_EVERY;
		look_at_refused(watch, now);
	}
	if (!asks || !watch->host.host || now < attacks->next || errand_is_out(&attacks->errand))
		return;
	attacks->next = now + ATTACKS_EVERY;
	if (errand_begin(&attacks->errand, ask_attacks, watch, NULL, 0, now + ATTACKS_SECONDS, &err) < 0)
		watch_trouble(watch, &attacks->trouble, &err);
}

void attack_done(struct attacks *attacks)
{
	errand_end(&attacks->errand);
	free(attacks->entries);
	free(attacks->refused);
	free(attacks->trouble);
}
