/* SPDX-License-Identifier: GPL-3.0-or-later */

/* May a server start? The firewall stands, and what the server is told to listen on is allowed. */

#include <string.h>

#include "audit_private.h"

static void assess_start(const struct check *check, const struct audit_facts *facts, struct findings *ret);

static const struct check checks[] = {
	{.id = "firewall.in_force",
		.area = "firewall",
		.severity = SEVERITY_CRITICAL,
		.facts = "our table",
		.title = "the firewall is in force",
		.bad = "Where it is not, a server that starts is open to everybody.",
		.unknown = "the kernel could not be read",
		.remedy = "systemctl start dflyguard.service, or dflyguard apply",
		.assess = assess_in_force},
	{.id = "firewall.drift",
		.area = "firewall",
		.severity = SEVERITY_CRITICAL,
		.facts = "our table, the policy",
		.title = "the kernel has what the policy says",
		.bad = "Where it has not, a server that starts may be open to somebody.",
		.unknown = "the kernel could not be read",
		.remedy = "dflyguard apply; dflyguard plan shows the differences",
		.assess = assess_drift},
	{.id = "start.binding",
		.area = "start",
		.severity = SEVERITY_CRITICAL,
		.facts = "the unit's command line, flagfiles and environment",
		.title = "the server is told to listen where it may",
		.bad = "Its flags ask for an address that bind, or admin_bind, does not list, or for a port that the "
		       "policy "
		       "does not name.",
		.unknown = "its flags could not be told",
		.remedy = "mend the flags",
		.assess = assess_start},
};

const struct check *audit_start_checks(size_t *ret_count)
{
	*ret_count = ARRAY_SIZE(checks);
	return checks;
}

static const char *const kind_names[] = {[INTENDED_MAIN] = "port",
	[INTENDED_ADMIN] = "admin_port",
	[INTENDED_MEMCACHED] = "memcached_port",
	[INTENDED_UNIX] = "unixsocket"};

/* The role that a socket of this kind has in the policy where it stands on the right port. */
static const enum role kind_roles[] = {[INTENDED_MAIN] = ROLE_MAIN,
	[INTENDED_ADMIN] = ROLE_ADMIN,
	[INTENDED_MEMCACHED] = ROLE_MEMCACHED,
	[INTENDED_UNIX] = ROLE_NONE};

/* What told it so. A flag may have swallowed another one, whose value is a secret. */
static void add_flag(struct text *text, const struct intended_listener *intended)
{
	const struct flag *flag = intended->flag;

	if (!flag) {
		text_append(text, "no flag says otherwise");
		return;
	}
	text_printf(text, "%s%s=", flag->source == FLAG_ENVIRONMENT ? "DFLY_" : "--", flag->name);
	flag_shown(flag, text);
	if (flag->source == FLAG_FILE)
		text_printf(text, " in %s, line %u", flag->file, flag->line);
	else
		text_append(text, flag->source == FLAG_ENVIRONMENT ? " in its environment" : " on its command line");
}

static void set_remedy(struct finding *finding, char *remedy)
{
	free(finding->remedy);
	finding->remedy = remedy;
}

static void judge_port(const struct check *check, const struct audit_facts *facts,
	const struct audit_intention *intention, const struct intended_listener *intended, struct findings *ret)
{
	const char *name = kind_names[intended->kind];
	struct finding *finding;

	if (intended->port)
		finding = finding_add(ret, check, OUTCOME_FAIL, intention->subject,
			"its %s would be %u, which the policy does not guard as that", name, intended->port);
	else
		finding = finding_add(ret, check, OUTCOME_FAIL, intention->subject,
			"its %s would be one that is free by then, which nobody can guard", name);
	finding->origin = facts->policy->service.origin;
	set_remedy(finding,
		mem_format("give the server another --%s, or name that one in the policy's section service", name));
}

static void judge_address_of(const struct check *check, const struct audit_facts *facts,
	const struct audit_intention *intention, const struct intended_listener *intended, struct findings *ret)
{
	const char *name = kind_names[intended->kind];
	enum role role = kind_roles[intended->kind];
	const char *option = role_option(facts->environment, role);
	const struct source_list *list = role_addresses(facts->environment, role);
	_cleanup_text_ struct text allowed = {0};
	_cleanup_text_ struct text flag = {0};
	enum listener_verdict verdict;
	struct finding *finding;

	if (!list->given) {
		finding_add(ret, check, OUTCOME_PASS, intention->subject,
			"%s %u at %s: the policy has no %s, so any address will do", name, intended->port,
			intended->address, option);
		return;
	}
	add_flag(&flag, intended);
	role_addresses_text(facts->environment, role, &allowed);
	if (!intended->resolved) {
		finding = finding_add(ret, check, OUTCOME_UNKNOWN, intention->subject,
			"%s %u would be open at an address that only the server's resolver knows: %s", name,
			intended->port, text_string(&flag));
	} else {
		verdict = judge_address(facts, role, intended->width, intended->value, intended->wildcard);
		if (listener_verdict_is_good(verdict)) {
			finding_add(ret, check, OUTCOME_PASS, intention->subject, "%s %u at %s, %s%s", name,
				intended->port, intended->address,
				verdict == LISTENER_LOOPBACK ? "which only this host reaches" : "as the policy's ",
				verdict == LISTENER_LOOPBACK ? "" : option);
			return;
		}
		finding = finding_add(ret, check, OUTCOME_FAIL, intention->subject,
			"%s %u would be open at %s%s, but %s is %s: %s", name, intended->port, intended->address,
			intended->wildcard ? ", that is, at every address of this host" : "", option,
			text_string(&allowed), text_string(&flag));
	}
	finding->origin = list->origin;
	set_remedy(finding, binding_remedy(facts, role, intention->intention, LISTENERS_NO_INDEX));
}

static void assess_intended(const struct check *check, const struct audit_facts *facts,
	const struct audit_intention *intention, struct findings *ret)
{
	struct intended_listener intended[INTENDED_MAXIMUM];
	struct finding *finding;
	size_t count;

	if (!intention->intention || intention->intention->unknown) {
		finding_add(ret, check, OUTCOME_UNKNOWN, intention->subject, "its flags could not be told: %s",
			intention->intention ? intention->intention->unknown : intention->unknown);
		return;
	}
	if (intention->intention->refusal) {
		finding = finding_add(ret, check, OUTCOME_FAIL, intention->subject, "it would refuse to start: %s",
			intention->intention->refusal);
		if (intention->intention->refusal_file)
			finding->evidence = mem_format(
				"%s, line %u", intention->intention->refusal_file, intention->intention->refusal_line);
		return;
	}
	count = intention_listeners(intention->intention, intended);
	for (size_t i = 0; i < count; i++) {
		/* Who may open a Unix socket is a matter of files. */
		if (intended[i].kind == INTENDED_UNIX)
			finding_add(
				ret, check, OUTCOME_PASS, intention->subject, "Unix socket %s", intended[i].address);
		else if (audit_role(&facts->policy->service, intended[i].port) != kind_roles[intended[i].kind])
			judge_port(check, facts, intention, &intended[i], ret);
		else
			judge_address_of(check, facts, intention, &intended[i], ret);
	}
	if (!count)
		finding_add(ret, check, OUTCOME_UNKNOWN, intention->subject, "it is told to listen nowhere");
}

static void assess_start(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	for (size_t i = 0; i < facts->intention_count; i++)
		assess_intended(check, facts, &facts->intentions[i], ret);
	if (!facts->intention_count)
		finding_add(ret, check, OUTCOME_UNKNOWN, facts->policy->service.unit, "nobody asked what it is told");
}

void audit_start(const struct audit_facts *facts, struct findings *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
		checks[i].assess(&checks[i], facts, ret);
	findings_sort(ret);
}
