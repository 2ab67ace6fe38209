/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What a server must be asked for (TLS, passwords, doors that are open), and what others write (certificates, logs). A
 * silent server takes half a minute for that, so it is an errand: at the start, when the sockets are others, and as
 * often as all is compared. The child judges, too, and tells findings; until its first answer nobody has looked, and
 * nothing is told of it.
 */

#include <errno.h>
#include <string.h>
#include <time.h>

#include "watch.h"

/* The child's own limits are below that: two runs of dflyguard-probe of 40 s, and connections. */
#define POSTURE_SECONDS 180.0
/* Sockets may come and go all the time; each look is a dozen connections to the server. */
#define POSTURE_PAUSE 5.0

/* --- in the child --- */

static void put_finding(const struct finding *finding, struct text *text, size_t *count)
{
	record_begin(text, "finding");
	record_text(text, "check", finding->check->id);
	record_number(text, "severity", finding->severity);
	record_number(text, "outcome", finding->outcome);
	record_text(text, "subject", finding->subject);
	record_text(text, "message", finding->message);
	record_text(text, "evidence", finding->evidence);
	record_text(text, "remedy", finding->remedy);
	record_number(text, "origin", finding->origin);
	record_text(text, "waived", finding->waived);
	record_number(text, "waived_until", finding->waived_until);
	record_number(text, "waived_origin", finding->waived_origin);
	record_end(text);
	++*count;
}

/* How often the server counted a login that failed, since we knocked. */
static int64_t own_failures(const struct server_facts *server)
{
	int64_t count = 0;

	for (size_t i = 0; server && i < server->port_count; i++)
		count += (server->ports[i].ping == PING_NOAUTH) + (server->ports[i].login == LOGIN_REFUSED);
	return count;
}

static void ask_all(void *data, struct text *text, size_t *count)
{
	struct watch *watch = data;
	const struct policy *policy = watch->follow.policy;
	const struct environment *environment = watch->follow.environment;
	struct audit_facts facts = {
		.policy = policy, .environment = environment, .unchanged = watch->known, .now = (uint64_t)time(NULL)};
	struct findings found = {0};

	host_facts_read_posture(policy, environment, &watch->host);
	host_facts_lend(&watch->host, &facts);
	audit_run_part(&facts, AUDIT_ASKED, &found);
	for (size_t i = 0; i < found.count; i++)
		put_finding(&found.items[i], text, count);
	record_begin(text, "knocked");
	record_number(text, "failures", own_failures(watch->host.server));
	record_end(text);
	++*count;
}

/* --- in watch --- */

void posture_want(struct watch *watch)
{
	watch->posture.wanted = true;
}

/* Nobody knows any more what was known. */
static void unknown(struct watch *watch, const char *why, struct findings *ret)
{
	struct audit_facts facts = {.policy = watch->follow.policy,
		.environment = watch->follow.environment,
		.unchanged = watch->known,
		.now = (uint64_t)time(NULL)};

	host_facts_lend(&watch->host, &facts);
	facts.tls_unknown = facts.server_unknown = why;
	audit_run_part(&facts, AUDIT_ASKED, ret);
}

static void take(struct watch *watch, struct findings *found)
{
	struct posture *posture = &watch->posture;

	watch_tell_missing(watch, EVENT_FINDING, found, &posture->findings);
	watch_tell_missing(watch, EVENT_RESOLVED, &posture->findings, found);
	findings_done(&posture->findings);
	posture->findings = *found;
	posture->known = true;
}

void posture_step(struct watch *watch, double now)
{
	struct posture *posture = &watch->posture;
	struct findings found = {0};
	struct err err = {0};

	if (!posture->wanted || now < posture->not_before || errand_is_out(&posture->errand) || !watch->host.host)
		return;
	posture->wanted = false;
	posture->not_before = now + POSTURE_PAUSE;
	if (errand_begin(&posture->errand, ask_all, watch, NULL, 0, now + POSTURE_SECONDS, &err) == 0) {
		/* Each port that is knocked at may count one. */
		watch->attacks.own_failed += (int64_t)watch->host.host->listener_count * 2;
		return;
	}
	watch_trouble(watch, &posture->trouble, &err);
	unknown(watch, err.message, &found);
	take(watch, &found);
}

static bool hear_finding(const struct record *record, struct findings *found)
{
	const struct check *check = record_get(record, "check") ? audit_check_find(record_get(record, "check")) : NULL;
	const char *subject = record_get(record, "subject");
	const char *message = record_get(record, "message");
	int64_t severity, outcome, origin, until, waived_origin;

	if (!check || !subject || !message || !record_get_number(record, "severity", 0, SEVERITY_CRITICAL, &severity) ||
		!record_get_number(record, "outcome", 0, OUTCOME_NOT_APPLICABLE, &outcome) ||
		!record_get_number(record, "origin", 0, UINT32_MAX, &origin) ||
		!record_get_number(record, "waived_until", 0, UINT32_MAX, &until) ||
		!record_get_number(record, "waived_origin", 0, UINT32_MAX, &waived_origin))
		return false;
	ARRAY_GROW(found->items, found->count, found->capacity);
	found->items[found->count++] = (struct finding){.check = check,
		.severity = (enum severity)severity,
		.outcome = (enum outcome)outcome,
		.subject = mem_string(subject),
		.message = mem_string(message),
		.evidence = record_take(record, "evidence"),
		.remedy = record_take(record, "remedy"),
		.origin = (uint32_t)origin,
		.waived = record_take(record, "waived"),
		.waived_until = (uint32_t)until,
		.waived_origin = (uint32_t)waived_origin};
	return true;
}

void posture_hear(struct watch *watch, double now)
{
	struct posture *posture = &watch->posture;
	struct findings found = {0};
	struct records *records = NULL;
	struct err err = {0};
	int64_t failures;
	int code;

	if (!errand_is_out(&posture->errand))
		return;
	code = errand_hear(&posture->errand, now, &records, &err);
	if (code == -EAGAIN)
		return;
	posture->not_before = now + POSTURE_PAUSE;
	watch_trouble(watch, &posture->trouble, code < 0 ? &err : NULL);
	if (code < 0)
		unknown(watch, err.message, &found);
	for (size_t i = 0; code == 0 && i < records->count; i++) {
		const struct record *record = &records->items[i];

		if (strcmp(record->name, "finding") == 0)
			hear_finding(record, &found);
		else if (record_get_number(record, "failures", 0, 1000, &failures))
			watch->attacks.own_failed = failures;
	}
	records_free(records);
	take(watch, &found);
}

void posture_done(struct posture *posture)
{
	errand_end(&posture->errand);
	findings_done(&posture->findings);
	free(posture->trouble);
}
