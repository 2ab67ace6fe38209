/* SPDX-License-Identifier: GPL-3.0-or-later */

/* watch --own: the table belongs to our socket, so that nobody else can change it. When the socket is closed, by
 * whatever end, the table stays, and is anybody's again. */

#include <errno.h>
#include <string.h>

#include "watch.h"

void watch_not_owned(struct watch *watch, bool waits, const char *why)
{
	free(watch->not_owned);
	watch->not_owned = why ? mem_string(why) : NULL;
	watch->own_waits = waits;
}

/* Asked once; a signal asks again. What was not an answer is none. */
static bool kernel_can(struct watch *watch)
{
	struct err err = {0};

	if (watch->cannot_own)
		return false;
	if (nft_can_own(watch->nft, &err) != -EOPNOTSUPP)
		return true;
	watch->cannot_own = mem_string("this kernel has no tables that stay when their owner ends (flag persist, since "
				       "Linux 6.9), and without it the ports would be open when watch ends");
	return false;
}

bool watch_must_own(struct watch *watch, const struct ruleset *observed)
{
	_cleanup_text_ struct text text = {0};
	struct owner owner;

	if (!watch->options->own)
		return false;
	watch->owned = observed->present && (observed->flags & TABLE_OWNED) == TABLE_OWNED &&
		       observed->owner == nft_port(watch->nft);
	if (watch->owned) {
		watch_not_owned(watch, false, NULL);
		return false;
	}
	if (owned_by_another(observed, nft_port(watch->nft), &owner)) {
		owner_text(&owner, &text);
		text_append(&text, " owns it");
		watch_not_owned(watch, false, text_string(&text));
		return false;
	}
	return kernel_can(watch);
}

void watch_own(const struct watch *watch, struct ruleset *expected)
{
	if (!watch->options->own || watch->cannot_own)
		return;
	expected->flags = TABLE_OWNED;
	expected->owner = nft_port(watch->nft);
}

void watch_owns(struct watch *watch, const struct changeset *changes)
{
	watch->owned = true;
	watch_not_owned(watch, false, NULL);
	watch_say(watch, EVENT_OWNED,
		"nobody else can change table inet " TABLE_NAME " while this runs, and it stays "
		"when this ends: it %s",
		changes->table_replace	 ? "was made anew in one transaction, so that counters, limits and refused "
					   "sources begin at zero"
		: changes->table_missing ? "was made"
					 : "was taken over from a watch that has ended, as it was");
}
