/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Other tables: what they do to guarded ports. */

#include <inttypes.h>

#include "audit_private.h"

#define SUBJECT "other tables"

/* True where there are facts; else the check has its finding. */
static bool foreign_known(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	if (facts->foreign)
		return true;
	finding_add(ret, check, OUTCOME_UNKNOWN, SUBJECT, "could not be read: %s", facts->foreign_unknown);
	return false;
}

/* What was not seen may be wrong, too. */
static void end(const struct check *check, const struct audit_facts *facts, struct findings *ret, size_t found,
	const char *good)
{
	const struct foreign *foreign = facts->foreign;

	if (foreign->incomplete)
		finding_add(
			ret, check, OUTCOME_UNKNOWN, SUBJECT, "not all of them was looked at: %s", foreign->incomplete);
	else if (foreign->more)
		finding_add(ret, check, OUTCOME_UNKNOWN, SUBJECT,
			"%zu rules that concern guarded ports are told, and %zu more are not", foreign->count,
			foreign->more);
	else if (!found)
		finding_add(ret, check, OUTCOME_PASS, SUBJECT, "%s", good);
}

static struct finding *add(const struct check *check, struct findings *ret, const struct foreign_fact *fact,
	enum outcome outcome, const char *message)
{
	_cleanup_free_ char *subject =
		fact->handle ? mem_format("table %s chain %s handle %" PRIu64, fact->table, fact->chain, fact->handle)
			     : mem_format("table %s chain %s", fact->table, fact->chain);
	struct finding *finding = finding_add(ret, check, outcome, subject, "%s", message);

	finding->evidence = mem_string(fact->rule);
	return finding;
}

static char *from_text(const struct foreign_fact *fact)
{
	if (fact->from_first == fact->from_last)
		return mem_format("port %u", fact->from_first);
	if (fact->from_first == 0 && fact->from_last == UINT16_MAX)
		return mem_string("another port");
	return mem_format("a port of %u-%u", fact->from_first, fact->from_last);
}

static char *to_text(const struct foreign_fact *fact)
{
	if (!fact->to_port)
		return mem_format("a port that cannot be told%s%s", fact->to_address ? ", at " : "",
			fact->to_address ? fact->to_address : "");
	if (fact->to_address)
		return mem_format("port %u of %s", fact->to_port, fact->to_address);
	return mem_format("port %u of this host", fact->to_port);
}

void assess_foreign_nat(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	size_t found = 0;

	if (!foreign_known(check, facts, ret))
		return;
	for (size_t i = 0; i < facts->foreign->count; i++) {
		const struct foreign_fact *fact = &facts->foreign->facts[i];
		_cleanup_free_ char *from = NULL;
		_cleanup_free_ char *to = NULL;
		_cleanup_free_ char *message = NULL;
		struct finding *finding;

		if (fact->kind != FOREIGN_NAT && fact->kind != FOREIGN_REWRITE)
			continue;
		found++;
		from = from_text(fact);
		to = to_text(fact);
		message = mem_format("%s %s to %s%s", fact->kind == FOREIGN_NAT ? "translates" : "rewrites", from, to,
			fact->unjudged ? ", where nothing judges it" : "");
		/* Whether it concerns us is not known. */
		finding = add(check, ret, fact, fact->to_port ? OUTCOME_FAIL : OUTCOME_UNKNOWN, message);
		if (fact->unjudged)
			finding->severity = fact->to_port ? SEVERITY_CRITICAL : SEVERITY_WARNING;
		else if (!fact->to_port)
			finding->severity = SEVERITY_INFO;
	}
	end(check, facts, ret, found, "none maps a port to a guarded one, or a guarded one elsewhere");
}

static void assess_kind(const struct check *check, const struct audit_facts *facts, struct findings *ret,
	enum foreign_kind kind, const char *format, size_t *found)
{
	for (size_t i = 0; i < facts->foreign->count; i++) {
		const struct foreign_fact *fact = &facts->foreign->facts[i];
		_cleanup_free_ char *message = NULL;

		if (fact->kind != kind)
			continue;
		++*found;
		message = mem_format("%s %u", format, fact->port);
		add(check, ret, fact, OUTCOME_FAIL, message);
	}
}

void assess_notrack(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	size_t found = 0;

	if (!foreign_known(check, facts, ret))
		return;
	assess_kind(check, facts, ret, FOREIGN_NOTRACK, "takes connection tracking away from port", &found);
	end(check, facts, ret, found, "none has notrack for a guarded port");
}

void assess_flowtable(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	size_t found = 0;

	if (!foreign_known(check, facts, ret))
		return;
	assess_kind(check, facts, ret, FOREIGN_FLOWTABLE, "lets connections pass by all chains: to port", &found);
	assess_kind(check, facts, ret, FOREIGN_AWAY, "sends packets on before any chain: to port", &found);
	end(check, facts, ret, found, "none has a flowtable or fwd for a guarded port");
}

void assess_foreign_drop(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	size_t found = 0;

	if (!foreign_known(check, facts, ret))
		return;
	for (size_t i = 0; i < facts->foreign->count; i++) {
		const struct foreign_fact *fact = &facts->foreign->facts[i];
		_cleanup_free_ char *message = NULL;
		char source[INTERVAL_TEXT];
		struct finding *finding;

		if (fact->kind != FOREIGN_DROP)
			continue;
		found++;
		message = mem_format("%s what the policy allows: from %s to port %u",
			fact->certain ? "drops" : "may drop",
			value_format(fact->probe.width, fact->probe.source, source), fact->port);
		finding = add(check, ret, fact, fact->certain ? OUTCOME_FAIL : OUTCOME_UNKNOWN, message);
		finding->origin = fact->probe.origin;
		if (!fact->certain)
			finding->severity = SEVERITY_INFO;
	}
	end(check, facts, ret, found, "none drops what the policy allows");
}

void assess_legacy(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	static const char subject[] = "legacy iptables";

	if (!foreign_known(check, facts, ret))
		return;
	switch (facts->foreign->legacy) {
	case LEGACY_NONE:
		finding_add(ret, check, OUTCOME_PASS, subject, "there are no tables");
		return;
	case LEGACY_PRESENT:
		finding_add(ret, check, OUTCOME_FAIL, subject, "tables are there, and nobody looks at them: %s",
			facts->foreign->legacy_tables);
		return;
	case LEGACY_UNKNOWN:
		finding_add(ret, check, OUTCOME_UNKNOWN, subject, "%s", facts->foreign->legacy_why);
		return;
	}
	abort();
}

/* A watch that owns our table is what it should be; whoever else does keeps everybody from mending it. True: there is a
 * finding. */
static bool assess_our_owner(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	static const char subject[] = "table inet " TABLE_NAME;
	const struct owner *owner = facts->owner;
	_cleanup_free_ char *who = NULL;

	if (!(facts->foreign->ours_flags & TABLE_OWNER))
		return false;
	who = owner && owner->process ? mem_format("process %u (%s)", owner->process, owner->program)
				      : mem_string("a program that cannot be told");
	if (!(facts->foreign->ours_flags & TABLE_PERSIST))
		finding_add(ret, check, OUTCOME_FAIL, subject,
			"it is owned by %s without the flag persist: when that ends the kernel takes the table away, "
			"and the ports are open",
			who)
			->severity = SEVERITY_CRITICAL;
	else if (owner && owner->process && owner->ours)
		return false;
	else
		finding_add(ret, check, owner && owner->process ? OUTCOME_FAIL : OUTCOME_UNKNOWN, subject,
			"it is owned by %s: nobody else can change it while that runs%s%s", who,
			owner && owner->why[0] ? ": " : "", owner ? owner->why : "");
	return true;
}

void assess_owner(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	const struct foreign *foreign = facts->foreign;
	bool found = false;

	if (!foreign_known(check, facts, ret))
		return;
	found = assess_our_owner(check, facts, ret);
	if (foreign->owners) {
		finding_add(ret, check, OUTCOME_FAIL, SUBJECT, "a program owns tables that name a guarded port: %s",
			foreign->owners);
		found = true;
	}
	if (!found && foreign->incomplete)
		end(check, facts, ret, 0, "");
	else if (!found)
		finding_add(ret, check, OUTCOME_PASS, SUBJECT, "none that names a guarded port has an owner%s%s%s",
			foreign->ours_flags & TABLE_OWNER ? "; ours is owned by a dflyguard watch" : "",
			foreign->managers ? "; known by name: " : "", foreign->managers ? foreign->managers : "");
}
