/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Any bytes as a policy: nothing may crash, leak, or take long, and what loads must keep what policy.h promises. */

#include "policy.h"
#include "replay.h"

static void check_list(const struct policy *policy, const struct source_list *list)
{
	struct intervals v4 = {.width = WIDTH_IPV4};
	struct intervals v6 = {.width = WIDTH_IPV6};

	require(list->given == (list->origin != 0));
	require(list->given || list->v4.count + list->v6.count + list->reference_count == 0);
	for (size_t i = 0; i < list->reference_count; i++) {
		const struct network_reference *reference = &list->references[i];

		require(reference->network < policy->network_count);
		require(strcmp(policy->networks[reference->network].name, reference->name) == 0);
		require(policy_place(policy, reference->origin).line > 0);
	}
	policy_resolve(policy, list, &v4, &v6, NULL, NULL);
	for (size_t i = 1; i < v4.count; i++)
		require(value_compare(intervals_get(&v4, i - 1).last, intervals_get(&v4, i).first) < 0);
	for (size_t i = 0; i < v4.count; i++)
		require(policy_place(policy, intervals_get(&v4, i).origin).line > 0);
	intervals_done(&v4);
	intervals_done(&v6);
}

static void check_addresses(const struct source_list *list)
{
	require(!list->given || list->v4.count + list->v6.count > 0);
	require(list->reference_count == 0);
	for (size_t i = 0; i < list->v4.count; i++)
		require(value_compare(intervals_get(&list->v4, i).first, intervals_get(&list->v4, i).last) == 0);
	for (size_t i = 0; i < list->v6.count; i++)
		require(value_compare(intervals_get(&list->v6, i).first, intervals_get(&list->v6, i).last) == 0);
}

static void check_expectation(const struct policy *policy, const struct expectation *expectation)
{
	const struct service *service = &policy->service;

	require(expectation->environment == POLICY_EVERY_ENVIRONMENT ||
		expectation->environment < policy->environment_count);
	if (expectation->environment_name)
		require(strcmp(policy->environments[expectation->environment].name, expectation->environment_name) ==
			0);
	require(policy_place(policy, expectation->origin).line > 0);
	check_list(policy, &expectation->from);
	require(expectation->from.v4.count + expectation->from.v6.count + expectation->from.reference_count > 0);
	check_addresses(&expectation->to);
	require(expectation->to_port == service->port || expectation->to_port == service->tls_port ||
		expectation->to_port == service->admin_port || expectation->to_port == service->memcached_port);
	require(expectation->to_port != 0 && expectation->speaks_origin && expectation->verdict_origin);
}

static void check_policy(const struct policy *policy)
{
	struct diagnostics notes = {0};

	require(policy->environment_count > 0 && policy->service.port != 0);
	for (size_t i = 0; i < policy->network_count; i++)
		check_list(policy, &policy->networks[i].sources);
	for (size_t i = 0; i < policy->environment_count; i++) {
		const struct environment *environment = &policy->environments[i];

		require(environment->clients.given);
		require(environment->tls == TLS_OFF || policy->service.tls_port != 0);
		require(policy_environment(policy, environment->name, NULL) == environment);
		check_list(policy, &environment->clients);
		check_list(policy, &environment->admins);
		check_list(policy, &environment->memcached_clients);
		check_addresses(&environment->bind);
		check_addresses(&environment->admin_bind);
	}
	require(policy->expectation_count <= POLICY_MAX_EXPECTATIONS);
	for (size_t i = 0; i < policy->expectation_count; i++)
		check_expectation(policy, &policy->expectations[i]);
	require(policy->waiver_count <= POLICY_MAX_WAIVERS);
	for (size_t i = 0; i < policy->waiver_count; i++) {
		const struct waiver *waiver = &policy->waivers[i];

		require(waiver->environment == POLICY_EVERY_ENVIRONMENT ||
			waiver->environment < policy->environment_count);
		require(strchr(waiver->check, '.') && waiver->reason && *waiver->reason && waiver->until_origin);
		require(!strchr(waiver->reason, '\n') && policy_place(policy, waiver->origin).line > 0);
	}
	policy_notes(policy, &notes);
	diagnostics_done(&notes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct diagnostics diagnostics = {0};
	struct policy *policy = NULL;
	struct err err = {0};
	int r = policy_load_text("fuzz", (const char *)data, size, &policy, &diagnostics, &err);

	require((r == 0) == (policy != NULL));
	require((r == 0) == (diagnostics.count == 0));
	for (size_t i = 0; i < diagnostics.count; i++) {
		/* The scanner and libconfuse must agree on what a policy is. */
		require(strncmp(diagnostics.items[i].message, "libconfuse", strlen("libconfuse")) != 0);
		for (const char *byte = diagnostics.items[i].message; *byte; byte++)
			require(*byte >= 0x20 && *byte < 0x7f);
	}
	if (policy)
		check_policy(policy);
	diagnostics_done(&diagnostics);
	policy_free(policy);
	return 0;
}

#ifndef FUZZING_ENGINE
int main(int count, char **arguments)
{
	return replay_main(count, arguments);
}
#endif
