/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A table that belongs to a process (`watch --own`): the kernel lets nobody else change it. It is better to say so, and
 * who that is, than to have the kernel refuse each part of a transaction. */

#include <errno.h>
#include <inttypes.h>

#include "cmd.h"

bool owned_by_another(const struct ruleset *observed, uint32_t port, struct owner *ret)
{
	*ret = (struct owner){0};
	if (!observed->present || !(observed->flags & TABLE_OWNER) || (port && observed->owner == port))
		return false;
	owner_find("/proc", observed->owner, ret);
	return true;
}

void owner_text(const struct owner *owner, struct text *text)
{
	if (owner->process)
		text_printf(text, "process %" PRIu32 " (%s)", owner->process, owner->program);
	else
		text_printf(text, "the netlink socket with port id %" PRIu32 " (%s)", owner->port, owner->why);
}

int refuse_owned(const struct ruleset *observed, uint32_t port, struct err *err)
{
	_cleanup_text_ struct text who = {0};
	struct owner owner;

	if (!owned_by_another(observed, port, &owner))
		return 0;
	owner_text(&owner, &who);
	err_set(err, EPERM, ERR_COMMIT, "table inet " TABLE_NAME " is owned by %s: nobody else can change it",
		text_string(&who));
	if (owner.ours)
		err_hint(err, "edit the policy file that this watch follows, or stop it (systemctl stop "
			      "dflyguard-watch, or kill -TERM): the table stays, and can be changed again");
	else
		err_hint(err, observed->flags & TABLE_PERSIST
				      ? "stop it: the table stays, and can be changed again"
				      : "stop it: the kernel then takes the table away, so apply again at once");
	return -EPERM;
}

int refuse_owned_now(struct err *err)
{
	struct snapshot snapshot;
	struct nft *nft = NULL;
	int r = nft_open(&nft, err);

	if (r == 0)
		r = nft_read_presence(nft, &snapshot, err);
	if (r == 0) {
		r = refuse_owned(snapshot.ruleset, nft_port(nft), err);
		ruleset_free(snapshot.ruleset);
	}
	nft_close(nft);
	return r;
}
