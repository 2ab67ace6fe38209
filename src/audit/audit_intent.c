/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the server was told, and will do at its next start: intentions, against the policy and against its sockets. */

#include <string.h>

#include "audit_private.h"

/* --- which count --- */

static const struct process *process_of(const struct audit_facts *facts, const struct audit_intention *told)
{
	return facts->host && told->process != LISTENERS_NO_INDEX ? &facts->host->processes[told->process] : NULL;
}

/* In a network namespace of its own, addresses and ports mean others. Where that is not known they are judged. */
static bool is_elsewhere(const struct audit_facts *facts, const struct audit_intention *told)
{
	const struct process *process = process_of(facts, told);

	return process && process->network != LISTENERS_NO_INDEX && !process_is_ours(process);
}

static bool has_source(const struct audit_facts *facts, enum intention_source source)
{
	for (size_t i = 0; i < facts->intention_count; i++)
		if (facts->intentions[i].source == source)
			return true;
	return false;
}

static const char *why_unknown(const struct audit_intention *told)
{
	if (!told->intention)
		return told->unknown ? told->unknown : "nobody looked";
	return told->intention->unknown;
}

static bool unit_is_known(const struct audit_facts *facts)
{
	for (size_t i = 0; i < facts->intention_count; i++)
		if (facts->intentions[i].source == INTENTION_UNIT && !why_unknown(&facts->intentions[i]))
			return true;
	return false;
}

/* So the server will start the next time: the unit says it of its process, and a flagfile only where nothing else
 * does. */
static bool is_next_start(const struct audit_facts *facts, const struct audit_intention *told)
{
	const struct process *process = process_of(facts, told);

	switch (told->source) {
	case INTENTION_UNIT:
		return true;
	case INTENTION_FLAGFILE:
		return !has_source(facts, INTENTION_UNIT) && !has_source(facts, INTENTION_PROCESS);
	case INTENTION_PROCESS:
		return !unit_is_known(facts) || !process || !process->unit.text ||
		       strcmp(process->unit.text, facts->policy->service.unit) != 0;
	}
	abort();
}

static char *place_of(const char *file, unsigned int line)
{
	if (!file)
		return NULL;
	return line ? mem_format("%s:%u", file, line) : mem_string(file);
}

/* The first place where the text does not do what it looks like. */
static char *first_remark(const struct intention *intention)
{
	const struct flag_remark *remark = intention->remarks;
	_cleanup_free_ char *place = NULL;

	if (!intention->remark_count)
		return NULL;
	place = place_of(remark->file, remark->line);
	return place ? mem_format("%s: %s", place, remark->message) : mem_string(remark->message);
}

static void add_intended(const struct intended_listener *intended, struct text *text)
{
	char buffer[INTERVAL_TEXT];
	const char *address =
		intended->resolved ? value_format(intended->width, intended->value, buffer) : intended->address;

	if (intended->resolved && intended->width == WIDTH_IPV6)
		text_printf(text, "[%s]:%u", address, intended->port);
	else
		text_printf(text, "%s:%u", address, intended->port);
}

static void add_item(struct text *text, const char *between)
{
	if (text->length)
		text_append(text, between);
}

/* --- the next start --- */

/* Why the policy does not have it so; NULL: it does. Static. */
static const char *what_is_wrong(const struct audit_facts *facts, const struct audit_intention *told,
	const struct intended_listener *intended, enum role role)
{
	if (is_elsewhere(facts, told))
		return NULL;
	if (role == ROLE_NONE)
		return "which no option of the policy names";
	switch (judge_address(facts, role, intended->width, intended->value, intended->wildcard)) {
	case LISTENER_WILDCARD:
		return role_addresses(facts->environment, role)->given ? "all addresses"
								       : "all addresses, where the policy has no bind";
	case LISTENER_PUBLIC:
		return "a public address that the policy does not list";
	case LISTENER_UNLISTED:
		return "an address that the policy does not list";
	case LISTENER_LOOPBACK:
		if (role_has_outsiders(facts, role))
			return "only this host, where the policy names others";
		break;
	case LISTENER_ALLOWED:
	case LISTENER_NOT_ASKED:
	case LISTENER_CONTAINER:
	case LISTENER_UNGUARDED:
	case LISTENER_PUBLISHED:
	case LISTENER_STRANGER:
	case LISTENER_OTHER_PORT:
		break;
	}
	if (facts->host && !facts->host->addresses_read.unknown && !intended->wildcard &&
		!address_is_here(facts, intended->width, intended->value))
		return "an address that this host does not have, so that it does not start";
	return NULL;
}

static void assess_refusal(const struct check *check, const struct audit_facts *facts,
	const struct audit_intention *told, struct findings *ret)
{
	const struct intention *intention = told->intention;
	_cleanup_free_ char *place = place_of(intention->refusal_file, intention->refusal_line);
	struct finding *finding = finding_add(ret, check, OUTCOME_FAIL, told->subject,
		"the server would not start: %s%s%s", place ? place : "", place ? ": " : "", intention->refusal);

	finding->evidence = first_remark(intention);
	free(finding->remedy);
	finding->remedy = mem_format("mend %s; what Dragonfly takes is written --name=value, with underscores",
		place ? place : "its command line");
	finding->origin = facts->policy->service.flagfile_origin;
}

static void assess_next_start(const struct check *check, const struct audit_facts *facts,
	const struct audit_intention *told, struct findings *ret)
{
	struct intended_listener intended[INTENDED_MAXIMUM];
	size_t count = intention_listeners(told->intention, intended);
	_cleanup_text_ struct text good = {0};
	_cleanup_text_ struct text bad = {0};
	_cleanup_text_ struct text names = {0};
	enum role worst = ROLE_NONE;
	struct finding *finding;

	for (size_t i = 0; i < count; i++) {
		enum role role = audit_role(&facts->policy->service, intended[i].port);
		const char *wrong;

		if (intended[i].kind == INTENDED_UNIX)
			continue;
		if (!intended[i].resolved) {
			add_item(&names, ", ");
			text_append(&names, intended[i].address);
			continue;
		}
		wrong = what_is_wrong(facts, told, &intended[i], role);
		add_item(wrong ? &bad : &good, wrong ? "; " : ", ");
		add_intended(&intended[i], wrong ? &bad : &good);
		if (wrong)
			text_printf(&bad, ", %s%s", wrong,
				intended[i].protected_mode ? " (it has no password, and systemd starts it)" : "");
		if (wrong && worst == ROLE_NONE)
			worst = role;
	}
	if (bad.length) {
		finding = finding_add(ret, check, OUTCOME_FAIL, told->subject, "the next start would listen on %s",
			text_string(&bad));
		finding->evidence = first_remark(told->intention);
		finding->origin = role_addresses(facts->environment, worst)->origin;
		if (worst != ROLE_NONE) {
			free(finding->remedy);
			finding->remedy = binding_remedy(facts, worst, told->intention, told->process);
		}
	} else if (names.length) {
		finding_add(ret, check, OUTCOME_UNKNOWN, told->subject,
			"the next start would listen on %s, and what address that is only the server's resolver knows",
			text_string(&names));
	} else {
		finding_add(ret, check, OUTCOME_PASS, told->subject, "the next start would listen on %s",
			good.length ? text_string(&good) : "no TCP port");
	}
}

static const char no_intention[] = "nothing tells how a server would start: none runs, and there is no flagfile";

void assess_intention(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	if (!host_known(check, facts, ret))
		return;
	for (size_t i = 0; i < facts->intention_count; i++) {
		const struct audit_intention *told = &facts->intentions[i];

		if (!is_next_start(facts, told))
			continue;
		if (why_unknown(told))
			finding_add(ret, check, OUTCOME_UNKNOWN, told->subject, "what it will do is not known: %s",
				why_unknown(told));
		else if (told->intention->refusal)
			assess_refusal(check, facts, told, ret);
		else
			assess_next_start(check, facts, told, ret);
	}
	if (!facts->intention_count)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, facts->policy->service.unit, "%s", no_intention);
}

/* --- memcached --- */

static bool intends_one_address(const struct intention *intention, enum intended_kind kind)
{
	struct intended_listener intended[INTENDED_MAXIMUM];
	size_t count = intention_listeners(intention, intended);

	for (size_t i = 0; i < count; i++)
		if (intended[i].kind == kind && !intended[i].wildcard)
			return true;
	return false;
}

bool memcached_ignores_bind(const struct audit_facts *facts, const struct listener *listener)
{
	const struct audit_intention *told;

	if (audit_role(&facts->policy->service, listener->port) != ROLE_MEMCACHED || !listener_is_wildcard(listener))
		return false;
	for (size_t i = 0; i < listener->process_count; i++) {
		told = intention_of(facts, listener->processes[i]);
		if (told && !told->intention->unknown && intends_one_address(told->intention, INTENDED_MEMCACHED))
			return true;
	}
	return false;
}

static size_t tell_truncated(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	size_t found = 0;

	for (size_t i = 0; i < facts->intention_count; i++) {
		const struct audit_intention *told = &facts->intentions[i];
		int64_t port;

		if (why_unknown(told) || !is_next_start(facts, told))
			continue;
		port = intention_number(told->intention, "memcached_port");
		if (port <= UINT16_MAX)
			continue;
		found++;
		finding_add(ret, check, OUTCOME_FAIL, told->subject,
			"memcached_port = %lld is more than a port can be: Dragonfly listens on %u instead",
			(long long)port, (unsigned int)(port & UINT16_MAX));
	}
	return found;
}

void assess_memcached(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	static const char subject[] = "memcached port";
	size_t found;
	size_t judged = 0;

	if (!host_known(check, facts, ret))
		return;
	found = tell_truncated(check, facts, ret);
	for (size_t i = 0; i < facts->host->listener_count; i++) {
		const struct listener *listener = &facts->host->listeners[i];
		_cleanup_text_ struct text text = {0};
		struct finding *finding;

		if (!listener_is_ours(listener) ||
			audit_role(&facts->policy->service, listener->port) != ROLE_MEMCACHED)
			continue;
		judged++;
		if (!memcached_ignores_bind(facts, listener))
			continue;
		found++;
		listener_text(listener, &text);
		finding = finding_add(ret, check, OUTCOME_FAIL, text_string(&text),
			"takes connections to every address, though bind is set: Dragonfly before v1.37 does not ask "
			"bind on its memcached port");
		if (firewall_holds(facts, ROLE_MEMCACHED))
			finding->severity = SEVERITY_WARNING;
	}
	if (facts->host->listeners_read.unknown)
		finding_add(ret, check, OUTCOME_UNKNOWN, subject, "sockets could not be read: %s",
			facts->host->listeners_read.unknown);
	else if (!judged && !found)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, subject, "nothing listens there");
	else if (!found)
		finding_add(ret, check, OUTCOME_PASS, subject, "does as bind says");
}

/* --- protected mode --- */

static bool asks_who_it_is(const struct intention *intention)
{
	return intention_has(intention, "requirepass") || intention_has(intention, "aclfile") ||
	       (intention_bool(intention, "tls") &&
		       (intention_has(intention, "tls_ca_cert_file") || intention_has(intention, "tls_ca_cert_dir")));
}

static void assess_protection(const struct check *check, const struct audit_facts *facts,
	const struct audit_intention *told, struct findings *ret)
{
	struct intended_listener intended[INTENDED_MAXIMUM];
	size_t count = intention_listeners(told->intention, intended);
	const struct intended_listener *server = NULL;
	_cleanup_text_ struct text place = {0};
	struct finding *finding;

	for (size_t i = 0; i < count; i++)
		if (intended[i].kind == INTENDED_MAIN)
			server = &intended[i];
	if (told->intention->refusal || !server) {
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, told->subject, "it opens no port for clients");
		return;
	}
	add_intended(server, &place);
	if (server->protected_mode && !is_elsewhere(facts, told) && role_has_outsiders(facts, ROLE_MAIN)) {
		_cleanup_free_ char *bind = binding_remedy(facts, ROLE_MAIN, told->intention, told->process);

		finding = finding_add(ret, check, OUTCOME_FAIL, told->subject,
			"listens on %s alone, as it has neither bind nor password and systemd starts it; clients "
			"names others",
			text_string(&place));
		free(finding->remedy);
		finding->remedy = mem_format("set --requirepass, and %s", bind);
	} else if (server->protected_mode || (server->resolved && address_is_loopback(server->width, server->value))) {
		finding_add(
			ret, check, OUTCOME_PASS, told->subject, "only its own host reaches %s", text_string(&place));
	} else if (asks_who_it_is(told->intention)) {
		finding_add(ret, check, OUTCOME_PASS, told->subject,
			"it has a password, users of its own, or asks clients for certificates");
	} else {
		finding_add(ret, check, OUTCOME_FAIL, told->subject,
			"whoever reaches %s is let in: there is no password, and %s", text_string(&place),
			server->flag ? "with bind there is no protected mode"
				     : "without systemd there is no protected mode");
	}
}

void assess_protected_mode(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	if (!host_known(check, facts, ret))
		return;
	for (size_t i = 0; i < facts->intention_count; i++) {
		const struct audit_intention *told = &facts->intentions[i];

		if (!is_next_start(facts, told))
			continue;
		if (why_unknown(told))
			finding_add(ret, check, OUTCOME_UNKNOWN, told->subject, "what it was told is not known: %s",
				why_unknown(told));
		else
			assess_protection(check, facts, told, ret);
	}
	if (!facts->intention_count)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, facts->policy->service.unit, "%s", no_intention);
}

/* --- what runs, and what it was told --- */

static bool same_socket(const struct listener *listener, const struct intended_listener *intended)
{
	struct value address;
	enum width width = listener_address(listener, &address);

	if (listener->port != intended->port)
		return false;
	/* What a name stands for only the server's resolver knows. */
	if (!intended->resolved)
		return true;
	if (intended->wildcard || listener_is_wildcard(listener))
		return intended->wildcard && listener_is_wildcard(listener) && width == intended->width;
	return width == intended->width && value_compare(address, intended->value) == 0;
}

static bool holds(const struct listener *listener, size_t process)
{
	for (size_t i = 0; i < listener->process_count; i++)
		if (listener->processes[i] == process)
			return true;
	return false;
}

/* What it listens on and was not told to, and the other way round. */
static void compare_sockets(
	const struct audit_facts *facts, const struct audit_intention *told, struct text *more, struct text *missing)
{
	struct intended_listener intended[INTENDED_MAXIMUM];
	size_t count = intention_listeners(told->intention, intended);
	bool met[INTENDED_MAXIMUM] = {false};
	bool chosen = false; /* a port that the kernel chose */

	for (size_t k = 0; k < count; k++)
		chosen = chosen || (intended[k].kind != INTENDED_UNIX && !intended[k].port);
	for (size_t i = 0; i < facts->host->listener_count; i++) {
		const struct listener *listener = &facts->host->listeners[i];
		bool expected = chosen;

		if (!holds(listener, told->process))
			continue;
		for (size_t k = 0; k < count; k++)
			if (intended[k].kind != INTENDED_UNIX && same_socket(listener, &intended[k]))
				expected = met[k] = true;
		if (expected)
			continue;
		add_item(more, ", ");
		listener_text(listener, more);
	}
	for (size_t k = 0; k < count; k++) {
		if (met[k] || intended[k].kind == INTENDED_UNIX || !intended[k].port)
			continue;
		add_item(missing, ", ");
		add_intended(&intended[k], missing);
	}
}

static bool reads_flagfile(const struct intention *intention, const char *path)
{
	for (size_t i = 0; i < intention->file_count; i++)
		if (strcmp(intention->files[i], path) == 0)
			return true;
	return false;
}

/* The policy's flagfile is there, for others than processes. */
static bool is_written(const struct audit_facts *facts, const char *flagfile)
{
	for (size_t i = 0; i < facts->intention_count; i++) {
		const struct audit_intention *told = &facts->intentions[i];

		if (told->source == INTENTION_FLAGFILE || (told->source == INTENTION_UNIT && told->intention &&
								  reads_flagfile(told->intention, flagfile)))
			return true;
	}
	return false;
}

static void assess_process(const struct check *check, const struct audit_facts *facts,
	const struct audit_intention *told, struct findings *ret)
{
	const struct process *process = process_of(facts, told);
	const char *flagfile = facts->policy->service.flagfile;
	_cleanup_text_ struct text missing = {0};
	_cleanup_text_ struct text more = {0};

	if (why_unknown(told)) {
		finding_add(ret, check, OUTCOME_UNKNOWN, told->subject, "what it was told is not known: %s",
			why_unknown(told));
		return;
	}
	if (!process || process->network == LISTENERS_NO_INDEX) {
		finding_add(ret, check, OUTCOME_UNKNOWN, told->subject, "its sockets could not be told");
		return;
	}
	if (facts->host->networks[process->network].read.unknown) {
		finding_add(ret, check, OUTCOME_UNKNOWN, told->subject, "its sockets could not be read: %s",
			facts->host->networks[process->network].read.unknown);
		return;
	}
	if (told->intention->refusal) {
		finding_add(ret, check, OUTCOME_FAIL, told->subject,
			"it runs, and what it was told has changed since: it would not start again");
		return;
	}
	compare_sockets(facts, told, &more, &missing);
	if (missing.length || more.length)
		finding_add(ret, check, OUTCOME_FAIL, told->subject, "%s%s%s%s%s",
			more.length ? "listens on " : "does not listen on ",
			text_string(more.length ? &more : &missing),
			more.length && missing.length ? ", and its flags say " : "",
			more.length && missing.length ? text_string(&missing) : "",
			more.length && missing.length ? ""
			: more.length		      ? ", which its flags do not say"
						      : ", which its flags say");
	else if (!process->container.text && process_is_ours(process) && is_written(facts, flagfile) &&
		 !reads_flagfile(told->intention, flagfile))
		finding_add(ret, check, OUTCOME_FAIL, told->subject,
			"it runs without --flagfile=%s, which the policy names: what is written there has no effect",
			flagfile)
			->origin = facts->policy->service.flagfile_origin;
	else
		finding_add(ret, check, OUTCOME_PASS, told->subject, "it listens where its flags say");
}

/* The unit's process, and the unit's next start. */
static void assess_unit(const struct check *check, const struct audit_facts *facts, const struct audit_intention *unit,
	struct findings *ret)
{
	for (size_t i = 0; i < facts->intention_count; i++) {
		struct audit_intention of_unit = *unit;
		const struct audit_intention *told = &facts->intentions[i];
		const struct process *process = process_of(facts, told);
		_cleanup_text_ struct text missing = {0};
		_cleanup_text_ struct text more = {0};

		if (told->source != INTENTION_PROCESS || !process || !process->unit.text ||
			strcmp(process->unit.text, facts->policy->service.unit) != 0 || why_unknown(unit) ||
			unit->intention->refusal)
			continue;
		of_unit.process = told->process;
		compare_sockets(facts, &of_unit, &more, &missing);
		if (missing.length)
			finding_add(ret, check, OUTCOME_FAIL, unit->subject,
				"process %u runs, and does not listen on %s as its next start will", process->pid,
				text_string(&missing));
	}
}

void assess_disagree(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	size_t judged = 0;

	if (!host_known(check, facts, ret))
		return;
	for (size_t i = 0; i < facts->intention_count; i++) {
		const struct audit_intention *told = &facts->intentions[i];

		if (told->source == INTENTION_PROCESS) {
			judged++;
			assess_process(check, facts, told, ret);
		} else if (told->source == INTENTION_UNIT) {
			assess_unit(check, facts, told, ret);
		}
	}
	if (!judged)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, facts->policy->service.unit, "no Dragonfly runs");
}
