/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Windows of time for each rule and source. Bounded: whoever comes from many addresses fills the table, and what rested
 * longest is forgotten, which is counted. */

#include <string.h>

#include "watch.h"

#define PARTS 16u

struct alert_window {
	uint32_t rule;
	struct alert_who who;
	int64_t part;		/* the latest, by its number since the beginning of time */
	uint64_t counts[PARTS]; /* counts[n % PARTS] is of part n, for the last PARTS of them */
	double last;		/* when something was noted */
	bool alerted;
	double quiet_until;
};

static bool is_of(const struct alert_window *window, uint32_t rule, const struct alert_who *who)
{
	return window->rule == rule && window->who.known == who->known &&
	       (!who->known ||
		       (window->who.width == who->width && value_compare(window->who.address, who->address) == 0));
}

static uint64_t total(const struct alert_window *window)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < PARTS; i++)
		sum += window->counts[i];
	return sum;
}

static struct alert_window *find(struct alerts *alerts, uint32_t rule, const struct alert_who *who, bool *ret_new)
{
	struct alert_window *oldest = NULL;

	*ret_new = false;
	for (size_t i = 0; i < alerts->count; i++) {
		struct alert_window *window = &alerts->windows[i];

		if (is_of(window, rule, who))
			return window;
		if (!oldest || window->last < oldest->last)
			oldest = window;
	}
	*ret_new = true;
	if (alerts->count < ALERT_WINDOWS) {
		/* A step at a time: mostly there are none, or a few. */
		if (alerts->count % 32 == 0)
			alerts->windows = mem_resize(alerts->windows, alerts->count + 32, sizeof(*alerts->windows));
		return &alerts->windows[alerts->count++];
	}
	alerts->forgotten += total(oldest) > 0;
	return oldest;
}

/* Goes on to this part; what is behind the window is gone. */
static void move_to(struct alert_window *window, int64_t part)
{
	if (part - window->part >= (int64_t)PARTS)
		memset(window->counts, 0, sizeof(window->counts));
	else
		for (int64_t i = window->part + 1; i <= part; i++)
			window->counts[i % PARTS] = 0;
	if (part > window->part)
		window->part = part;
}

bool alerts_note(struct alerts *alerts, const struct alert *rule, uint32_t index, const struct alert_who *who,
	uint64_t count, double when, uint64_t *ret_total)
{
	int64_t part = (int64_t)(when * PARTS / rule->within);
	struct alert_window *window;
	bool fresh;

	if (!count)
		return false;
	window = find(alerts, index, who, &fresh);
	if (fresh)
		*window = (struct alert_window){.rule = index, .who = *who, .part = part};
	move_to(window, part);
	window->last = when;
	/* What is told late may be too old already. */
	if (part > window->part - (int64_t)PARTS)
		window->counts[part % PARTS] += count;
	*ret_total = total(window);
	if (*ret_total < rule->count || (window->alerted && when < window->quiet_until))
		return false;
	window->alerted = true;
	window->quiet_until = when + rule->within;
	return true;
}

void alerts_done(struct alerts *alerts)
{
	free(alerts->windows);
	*alerts = (struct alerts){.forgotten = alerts->forgotten};
}
