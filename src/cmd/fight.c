/* SPDX-License-Identifier: GPL-3.0-or-later */

/* When to stop healing, because somebody undoes it. Pure: time is what it is told. */

#include "watch.h"

void fight_found(struct fight *fight, double now)
{
	unsigned int recent = 0;

	fight->changed = now;
	if (!fight->healed || now - fight->healed_at > FIGHT_WINDOW) {
		fight->healed = false;
		return;
	}
	/* What was healed is undone, once: further changes are of the same hand, and were not healed in between. */
	fight->healed = false;
	for (unsigned int i = FIGHT_UNDONE - 1; i > 0; i--)
		fight->undone[i] = fight->undone[i - 1];
	fight->undone[0] = now;
	if (fight->count < FIGHT_UNDONE)
		fight->count++;
	for (unsigned int i = 0; i < fight->count; i++)
		recent += now - fight->undone[i] <= FIGHT_WINDOW;
	if (recent >= FIGHT_UNDONE)
		fight->stopped = true;
}

void fight_healed(struct fight *fight, double now)
{
	fight->healed = true;
	fight->healed_at = now;
}

void fight_forgive(struct fight *fight)
{
	*fight = (struct fight){0};
}

bool fight_may_heal(struct fight *fight, double now)
{
	if (fight->stopped && now - fight->changed >= FIGHT_QUIET)
		fight_forgive(fight);
	return !fight->stopped;
}
