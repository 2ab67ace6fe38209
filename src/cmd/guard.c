/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The bind guard: the policy against what is attached. The one place where its steps are in order. */

#include <errno.h>

#include "cmd.h"

void guard_want(const struct policy *policy, const struct environment *environment, struct bindguard *ret)
{
	const struct service *service = &policy->service;
	const struct source_list *bind = &environment->bind;
	const struct source_list *admin = environment->admin_bind.given ? &environment->admin_bind : bind;
	enum bindguard_mode mode = environment->bind_guard == BIND_GUARD_DENY ? BINDGUARD_DENY : BINDGUARD_REWRITE;
	uint32_t origin = environment->bind_guard_origin;

	if (environment->bind_guard == BIND_GUARD_OFF)
		return;
	bindguard_add(ret, service->port, mode, &bind->v4, &bind->v6, origin);
	bindguard_add(ret, service->tls_port, mode, &bind->v4, &bind->v6, origin);
	bindguard_add(ret, service->admin_port, mode, &admin->v4, &admin->v6, origin);
	bindguard_add(ret, service->memcached_port, mode, &bind->v4, &bind->v6, origin);
}

uint64_t force_fingerprint(
	const struct policy *policy, const struct environment *environment, const struct ruleset *expected)
{
	struct bindguard wanted = {0};
	uint64_t fingerprint;

	guard_want(policy, environment, &wanted);
	fingerprint = ruleset_fingerprint(expected) ^ bindguard_fingerprint(&wanted);
	bindguard_done(&wanted);
	return fingerprint;
}

/* What is there. Where nothing is wanted, what cannot be read is to go all the same. */
static int look(struct guard *guard)
{
	int code;

	bindguard_done(&guard->found);
	bindguard_changes_done(&guard->changes);
	if (!guard->wanted.count && !bindguard_remains())
		return 0;
	code = bindguard_read(&guard->found, &guard->err);
	if (code < 0 && guard->wanted.count)
		return code;
	if (code < 0)
		guard->found.remains = true;
	guard->err = (struct err){0};
	bindguard_diff(&guard->wanted, &guard->found, &guard->changes);
	return 0;
}

/* The kernel did all that was asked, and yet it is not what was asked. */
static int stored_something_else(struct guard *guard)
{
	const struct bindguard_change *change = &guard->changes.items[0];

	err_set(&guard->err, EIO, ERR_COMMIT, "%s was put, but read back it differs: expected %s, read back %s",
		change->object, change->expected ? change->expected : "nothing",
		change->observed ? change->observed : "nothing");
	err_hint(&guard->err, "does somebody else change it? run this again");
	return -EIO;
}

int guard_reconcile(const struct policy *policy, const struct environment *environment, bool write, struct guard *guard)
{
	struct bindguard_changes done;
	int code;

	*guard = (struct guard){0};
	if (environment)
		guard_want(policy, environment, &guard->wanted);
	code = look(guard);
	guard->known = code == 0;
	if (code < 0 || !write || !guard->changes.count)
		return code;
	guard->known = false; /* until it is read again */
	code = bindguard_put(&guard->wanted, &guard->err);
	if (code < 0)
		return code;
	done = guard->changes;
	guard->changes = (struct bindguard_changes){0};
	code = look(guard);
	if (code == 0 && guard->changes.count)
		code = stored_something_else(guard);
	/* What was to do is what is told. */
	bindguard_changes_done(&guard->changes);
	guard->changes = done;
	guard->applied = guard->known = code == 0;
	return code;
}

void guard_facts(const struct guard *guard, struct bindguard_refusals *attempts, struct audit_facts *facts)
{
	static const struct bindguard_changes none;

	facts->guard_unknown = guard->err.message;
	if (!guard->known)
		return;
	facts->guard = &guard->found;
	facts->guard_drift = guard->applied ? &none : &guard->changes;
	if (bindguard_read_refusals(attempts, NULL) == 0)
		facts->guard_refusals = attempts;
}

void guard_done(struct guard *guard)
{
	bindguard_done(&guard->wanted);
	bindguard_done(&guard->found);
	bindguard_changes_done(&guard->changes);
}
