/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The host as audit and watch judge it: what listens, who that is, and what it was told. */

#include "cmd.h"

/* Owns all that is reachable from it. Zero-initialise; free with host_facts_done(). */
struct host_facts {
	struct host *host;
	struct audit_intention *intentions; /* their texts are `told`'s */
	size_t count;
	struct told {
		char *subject;
		char *unknown;
		struct intention *intention;
	} * told;
};

/* The guarded ports. `networks`: also what listens in containers. Pure. */
void host_ask(const struct policy *policy, bool networks, struct host_question *ret);
/* Reads it all, in place of what `ret` held. Never fails: what could not be read is unknown in it. */
void host_facts_read(const struct policy *policy, struct host_facts *ret);
/* Lends it to `facts`. */
void host_facts_lend(const struct host_facts *host, struct audit_facts *facts);
void host_facts_done(struct host_facts *facts);

/* ---- flagfile.c ---- */

/* Whose flagfile it is. */
struct flagfile {
	const struct process *process; /* NULL: nobody's yet: the policy's */
	const struct policy *policy;
};

/* For struct flags_input; `data` is a struct flagfile. */
int flagfile_read(void *data, const char *path, char **ret, size_t *ret_length, char *why);
