/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The policy's environments, measured by the one that guards most: what is tried in the others is often as precious,
 * and less looked after. */

#include <string.h>

#include "audit_private.h"

/* One comparison. */
struct pair {
	const struct policy *policy;
	const struct environment *strict; /* that is measured by */
	const struct environment *other;
	struct weaknesses *ret;
};

static void _printf_(3, 4) tell(const struct pair *pair, uint32_t origin, const char *format, ...)
{
	struct weaknesses *ret = pair->ret;
	char *message = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&message, format, arguments) < 0)
		abort();
	va_end(arguments);
	ARRAY_GROW(ret->items, ret->count, ret->capacity);
	ret->items[ret->count++] = (struct weakness){.environment = pair->other,
		/* What is not written is where it should be written. */
		.origin = origin ? origin : pair->other->origin,
		.message = message};
}

/* --- words --- */

static void compare_word(const struct pair *pair, const char *option, unsigned int rank, unsigned int strict_rank,
	const char *word, const char *strict_word, uint32_t origin)
{
	if (rank < strict_rank)
		tell(pair, origin, "%s = %s%s, and %s has %s = %s", option, word, origin ? "" : " (the default)",
			pair->strict->name, option, strict_word);
}

static void compare_words(const struct pair *pair)
{
	/* How much each guards; the order of the enums is that of the manual. */
	static const unsigned int tls[] = {[TLS_REQUIRED] = 2, [TLS_OPTIONAL] = 1, [TLS_OFF] = 0};
	static const unsigned int loopback[] = {[LOOPBACK_ALLOW] = 0, [LOOPBACK_TLS] = 1, [LOOPBACK_DENY] = 2};
	static const unsigned int admin_tls[] = {[ADMIN_TLS_REQUIRED] = 1, [ADMIN_TLS_OFF] = 0};
	static const unsigned int routed[] = {[ROUTED_CONTAINERS] = 1, [ROUTED_ALL] = 2, [ROUTED_NONE] = 0};
	/* A sample tells as much of who comes. */
	static const unsigned int log[] = {[LOG_NONE] = 0, [LOG_SAMPLED] = 1, [LOG_ALL] = 1};
	static const unsigned int client_certificates[] = {
		[CLIENT_CERTIFICATES_ANY] = 0, [CLIENT_CERTIFICATES_REQUIRED] = 1};
	static const unsigned int self_signed[] = {[SELF_SIGNED_DENY] = 1, [SELF_SIGNED_ALLOW] = 0};
	/* Both keep the server to its addresses. */
	static const unsigned int bind_guard[] = {
		[BIND_GUARD_OFF] = 0, [BIND_GUARD_REWRITE] = 1, [BIND_GUARD_DENY] = 1};
	static const unsigned int password[] = {[PASSWORD_REQUIRED] = 1, [PASSWORD_OPTIONAL] = 0};
	const struct environment *a = pair->other;
	const struct environment *b = pair->strict;

#define COMPARE(member)                                                                                                \
	compare_word(pair, #member, (member)[a->member], (member)[b->member], member##_mode_name(a->member),           \
		member##_mode_name(b->member), a->member##_origin)
	COMPARE(tls);
	COMPARE(password);
	COMPARE(client_certificates);
	COMPARE(self_signed);
	COMPARE(loopback);
	COMPARE(bind_guard);
	if (pair->policy->service.admin_port)
		COMPARE(admin_tls);
	COMPARE(routed);
	COMPARE(log);
#undef COMPARE
}

/* --- numbers: 0 is no limit --- */

static void compare_limit(
	const struct pair *pair, const char *option, uint32_t limit, uint32_t strict_limit, uint32_t origin)
{
	if (!limit && strict_limit)
		tell(pair, origin, "%s = 0%s, which is no limit, and %s has %u", option, origin ? "" : " (the default)",
			pair->strict->name, strict_limit);
}

/* --- sources --- */

/* This host itself: who is there needs no network to come in. */
static bool is_loopback(enum width width, struct interval item)
{
	return address_is_loopback(width, item.first) && address_is_loopback(width, item.last);
}

/* Appends what `list` has and `strict` has not: the first of it, and how much there is. */
static void subtract(const struct intervals *list, const struct intervals *strict, struct text *first, size_t *count)
{
	struct intervals rest = {.width = list->width};

	intervals_subtract(list, strict, &rest);
	for (size_t i = 0; i < rest.count; i++) {
		struct interval item = intervals_get(&rest, i);
		char buffer[INTERVAL_TEXT];

		if (!is_loopback(list->width, item) && (*count)++ == 0)
			text_append(first, interval_format(list->width, item, buffer));
	}
	intervals_done(&rest);
}

static bool is_everybody(const struct intervals *list)
{
	return intervals_cover(list, (struct interval){value_zero(), value_max(list->width), 0});
}

static void compare_sources(
	const struct pair *pair, const char *option, const struct source_list *list, const struct source_list *strict)
{
	struct intervals v4 = {.width = WIDTH_IPV4};
	struct intervals v6 = {.width = WIDTH_IPV6};
	struct intervals strict_v4 = {.width = WIDTH_IPV4};
	struct intervals strict_v6 = {.width = WIDTH_IPV6};
	_cleanup_text_ struct text first = {0};
	size_t count = 0;

	policy_resolve(pair->policy, list, &v4, &v6, NULL, NULL);
	policy_resolve(pair->policy, strict, &strict_v4, &strict_v6, NULL, NULL);
	subtract(&v4, &strict_v4, &first, &count);
	subtract(&v6, &strict_v6, &first, &count);
	if (count && (is_everybody(&v4) || is_everybody(&v6)))
		tell(pair, list->origin, "%s holds every address, and in %s it does not", option, pair->strict->name);
	else if (count == 1)
		tell(pair, list->origin, "%s has %s, which %s does not let in", option, text_string(&first),
			pair->strict->name);
	else if (count)
		tell(pair, list->origin, "%s has %s and %zu more that %s does not let in", option, text_string(&first),
			count - 1, pair->strict->name);
	intervals_done(&v4);
	intervals_done(&v6);
	intervals_done(&strict_v4);
	intervals_done(&strict_v6);
}

/* --- waivers --- */

static bool waives(const struct policy *policy, const struct environment *environment, const char *check)
{
	for (size_t i = 0; i < policy->waiver_count; i++) {
		const struct waiver *waiver = &policy->waivers[i];

		if ((waiver->environment == POLICY_EVERY_ENVIRONMENT ||
			    &policy->environments[waiver->environment] == environment) &&
			strcmp(waiver->check, check) == 0)
			return true;
	}
	return false;
}

static void compare_waivers(const struct pair *pair)
{
	const struct policy *policy = pair->policy;

	for (size_t i = 0; i < policy->waiver_count; i++) {
		const struct waiver *waiver = &policy->waivers[i];

		if (waiver->environment != POLICY_EVERY_ENVIRONMENT &&
			&policy->environments[waiver->environment] == pair->other &&
			!waives(policy, pair->strict, waiver->check))
			tell(pair, waiver->origin, "waives %s, and %s does not", waiver->check, pair->strict->name);
	}
}

/* --- all of it --- */

const struct environment *audit_strictest(const struct policy *policy)
{
	const struct environment *strictest = NULL;

	for (size_t i = 0; i < policy->environment_count; i++) {
		const struct environment *environment = &policy->environments[i];

		if (strcmp(environment->name, "production") == 0)
			return environment;
		if (same_string(policy->default_environment, environment->name))
			strictest = environment;
	}
	return strictest;
}

static void compare(const struct pair *pair)
{
	const struct service *service = &pair->policy->service;
	const struct environment *a = pair->other;
	const struct environment *b = pair->strict;

	compare_words(pair);
	compare_sources(pair, "clients", &a->clients, &b->clients);
	if (service->admin_port)
		compare_sources(pair, "admins", &a->admins, &b->admins);
	if (service->memcached_port)
		compare_sources(pair, "memcached_clients", &a->memcached_clients, &b->memcached_clients);
	if (!a->bind.given && b->bind.given)
		tell(pair, 0, "no bind, so that the server may be reached at every address of the host, and %s has one",
			b->name);
	if (service->admin_port && !a->bind.given && !a->admin_bind.given && b->admin_bind.given)
		tell(pair, 0, "no admin_bind, and %s has one", b->name);
	compare_limit(pair, "max_connections_per_source", a->max_connections_per_source, b->max_connections_per_source,
		a->max_connections_origin);
	compare_limit(pair, "new_connections_per_second", a->new_connections_per_second, b->new_connections_per_second,
		a->new_connections_origin);
	compare_limit(
		pair, "handshake_timeout", a->handshake_timeout, b->handshake_timeout, a->handshake_timeout_origin);
	compare_waivers(pair);
}

void audit_compare_environments(const struct policy *policy, struct weaknesses *ret)
{
	const struct environment *strict = audit_strictest(policy);

	for (size_t i = 0; strict && i < policy->environment_count; i++)
		if (&policy->environments[i] != strict)
			compare(&(struct pair){policy, strict, &policy->environments[i], ret});
}

void weaknesses_done(struct weaknesses *weaknesses)
{
	for (size_t i = 0; i < weaknesses->count; i++)
		free(weaknesses->items[i].message);
	free(weaknesses->items);
	*weaknesses = (struct weaknesses){0};
}

void assess_environments(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	const struct environment *strict = audit_strictest(facts->policy);
	const char *path = facts->policy->path;
	struct weaknesses weaknesses = {0};

	if (!facts->all_environments) {
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, path, "asked with --all-environments");
		return;
	}
	if (!strict) {
		finding_add(ret, check, OUTCOME_UNKNOWN, path,
			"none is called production, and there is no default_environment: nobody knows what to measure "
			"by");
		return;
	}
	if (facts->policy->environment_count == 1) {
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, path, "%s is the only one", strict->name);
		return;
	}
	audit_compare_environments(facts->policy, &weaknesses);
	for (size_t i = 0; i < weaknesses.count; i++) {
		_cleanup_free_ char *subject = mem_format("environment %s", weaknesses.items[i].environment->name);

		finding_add(ret, check, OUTCOME_FAIL, subject, "%s", weaknesses.items[i].message)->origin =
			weaknesses.items[i].origin;
	}
	if (!weaknesses.count)
		finding_add(ret, check, OUTCOME_PASS, path, "none is weaker than %s", strict->name);
	weaknesses_done(&weaknesses);
}
