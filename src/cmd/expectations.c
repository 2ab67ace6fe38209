/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a policy expects of itself, before it is put in force. */

#include <errno.h>

#include "cmd.h"
#include "evaluate.h"

int check_expectations(const struct policy *policy, const struct environment *environment,
	const struct ruleset *ruleset, struct err *err)
{
	struct proofs proofs = {0};
	size_t unmet = 0;

	ruleset_expect(policy, environment, ruleset, &proofs);
	for (size_t i = 0; i < proofs.count; i++) {
		_cleanup_text_ struct text text = {0};

		if (proofs.items[i].met || unmet++)
			continue;
		proof_text(policy, &proofs.items[i], &text);
		err_set_at(err, EINVAL, ERR_POLICY, policy_place(policy, proofs.items[i].expectation->origin), "%s",
			text_string(&text));
	}
	free(proofs.items);
	if (unmet > 1)
		err_hint(err, "`dflyguard check` shows all %zu expectations that are not met; nothing was changed",
			unmet);
	else if (unmet)
		err_hint(err, "change the policy or the expectation; nothing was changed");
	return unmet ? -EINVAL : 0;
}
