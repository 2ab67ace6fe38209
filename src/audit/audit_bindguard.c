/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The guard at bind(2): is it in force, and is it what the policy says? */

#include <inttypes.h>

#include "audit_private.h"

#define SUBJECT "bind guard"

/* "expected attached, found nothing" for each, as the evidence of a failure. */
static void list_drift(const struct bindguard_changes *drift, struct text *text)
{
	for (size_t i = 0; i < drift->count; i++) {
		const struct bindguard_change *change = &drift->items[i];

		text_printf(text, "%s%s: expected %s, found %s", i ? "; " : "", change->object,
			change->expected ? change->expected : "nothing",
			change->observed ? change->observed : "nothing");
	}
}

static void list_ports(const struct bindguard *guard, struct text *text)
{
	for (size_t i = 0; i < guard->count; i++)
		text_printf(text, "%s%u", i ? ", " : "", guard->ports[i].port);
}

static void add_refusals(const struct bindguard_refusals *refusals, struct finding *finding)
{
	_cleanup_text_ struct text text = {0};
	const struct bindguard_refusal *last;
	char address[INTERVAL_TEXT];

	if (!refusals || !refusals->count)
		return;
	last = &refusals->items[0];
	text_printf(&text,
		"%" PRIu64 " %s refused, %" PRIu64 " rewritten; the last one: %s (process %u, user %u) to %s",
		refusals->refused, refusals->refused == 1 ? "bind" : "binds", refusals->rewritten, last->command,
		last->process, last->user, value_format(last->width, last->address, address));
	text_printf(&text, " port %u", last->port);
	finding->evidence = text_take(&text);
}

void assess_bind_guard(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	enum bind_guard_mode mode = facts->environment->bind_guard;
	_cleanup_text_ struct text text = {0};
	struct finding *finding;

	if (!facts->guard) {
		finding = finding_add(ret, check, OUTCOME_UNKNOWN, SUBJECT, "bind_guard = %s: %s",
			bind_guard_mode_name(mode), facts->guard_unknown);
		finding->origin = facts->environment->bind_guard_origin;
		return;
	}
	if (facts->guard_drift->count) {
		list_drift(facts->guard_drift, &text);
		finding = finding_add(ret, check, OUTCOME_FAIL, SUBJECT, "%zu %s from bind_guard = %s",
			facts->guard_drift->count, facts->guard_drift->count == 1 ? "difference" : "differences",
			bind_guard_mode_name(mode));
		finding->evidence = text_take(&text);
		finding->origin = facts->environment->bind_guard_origin;
		return;
	}
	if (mode == BIND_GUARD_OFF) {
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, SUBJECT, "bind_guard = off, and none is there");
		return;
	}
	list_ports(facts->guard, &text);
	finding = finding_add(ret, check, OUTCOME_PASS, SUBJECT, "in force on %s: %s%s", text_string(&text),
		mode == BIND_GUARD_DENY ? "other addresses are refused" : "other addresses are replaced",
		facts->guard->everywhere ? "" : ", for processes of this container only");
	add_refusals(facts->guard_refusals, finding);
}
