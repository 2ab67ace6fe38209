/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The model, and what differs between two of it. */

#include <string.h>

#include "bindguard_private.h"

/* --- the model --- */

static int compare_ports(const void *left, const void *right)
{
	const struct bindguard_port *a = left;
	const struct bindguard_port *b = right;

	return a->port - b->port;
}

void bindguard_add(struct bindguard *guard, uint16_t port, enum bindguard_mode mode, const struct intervals *v4,
	const struct intervals *v6, uint32_t origin)
{
	struct bindguard_port *new;

	if (!port)
		return;
	for (size_t i = 0; i < guard->count; i++)
		if (guard->ports[i].port == port)
			return;
	ARRAY_GROW(guard->ports, guard->count, guard->capacity);
	new = &guard->ports[guard->count++];
	*new = (struct bindguard_port){.port = port,
		.mode = mode,
		.v4 = {.width = WIDTH_IPV4},
		.v6 = {.width = WIDTH_IPV6},
		.has_v4 = v4->count > 0,
		.has_v6 = v6->count > 0,
		.origin = origin};
	intervals_copy(&new->v4, v4);
	intervals_copy(&new->v6, v6);
	if (new->has_v4)
		new->first_v4 = intervals_get(v4, 0).first;
	if (new->has_v6)
		new->first_v6 = intervals_get(v6, 0).first;
	qsort(guard->ports, guard->count, sizeof(*guard->ports), compare_ports);
}

void bindguard_done(struct bindguard *guard)
{
	for (size_t i = 0; i < guard->count; i++) {
		intervals_done(&guard->ports[i].v4);
		intervals_done(&guard->ports[i].v6);
	}
	free(guard->ports);
	*guard = (struct bindguard){0};
}

/* FNV-1a. */
uint64_t text_hash(const struct text *text)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (size_t i = 0; i < text->length; i++)
		hash = (hash ^ (unsigned char)text->data[i]) * 0x100000001b3u;
	return hash;
}

uint64_t bindguard_fingerprint(const struct bindguard *wanted)
{
	_cleanup_text_ struct text text = {0};

	for (size_t i = 0; i < wanted->count; i++) {
		text_printf(&text, "%u ", wanted->ports[i].port);
		bindguard_port_text(&wanted->ports[i], &text);
		text_append_char(&text, '\n');
	}
	return wanted->count ? text_hash(&text) : 0;
}

/* --- differences --- */

static void list_addresses(const struct intervals *list, struct text *text, bool *first)
{
	char buffer[INTERVAL_TEXT];

	for (size_t i = 0; i < list->count; i++) {
		struct value address = intervals_get(list, i).first;

		/* A policy may list one twice. */
		if (i > 0 && value_compare(address, intervals_get(list, i - 1).first) == 0)
			continue;
		text_printf(text, "%s%s", *first ? "" : ", ", value_format(list->width, address, buffer));
		*first = false;
	}
}

static void rewrite_text(const struct bindguard_port *port, struct text *text)
{
	char v4[INTERVAL_TEXT];
	char v6[INTERVAL_TEXT];

	text_append(text, "rewrite to ");
	if (port->has_v4)
		text_append(text, value_format(WIDTH_IPV4, port->first_v4, v4));
	if (port->has_v4 && port->has_v6)
		text_append(text, " or ");
	if (port->has_v6)
		text_append(text, value_format(WIDTH_IPV6, port->first_v6, v6));
	if (!port->has_v4 && !port->has_v6)
		text_append(text, "nothing");
}

/* Sorted, since the kernel keeps them in no order. */
void bindguard_port_text(const struct bindguard_port *port, struct text *text)
{
	struct intervals v4 = {.width = WIDTH_IPV4};
	struct intervals v6 = {.width = WIDTH_IPV6};
	bool first = true;

	intervals_copy(&v4, &port->v4);
	intervals_copy(&v6, &port->v6);
	intervals_sort(&v4);
	intervals_sort(&v6);
	if (port->mode == BINDGUARD_REWRITE)
		rewrite_text(port, text);
	else
		text_append(text, "deny");
	text_append(text, " all but ");
	list_addresses(&v4, text, &first);
	list_addresses(&v6, text, &first);
	if (first)
		text_append(text, "nothing");
	intervals_done(&v4);
	intervals_done(&v6);
}

/* Takes the texts over. */
static void add(struct bindguard_changes *ret, char *object, char *expected, char *observed, uint32_t origin)
{
	ARRAY_GROW(ret->items, ret->count, ret->capacity);
	ret->items[ret->count++] = (struct bindguard_change){object, expected, observed, origin};
}

static char *port_string(const struct bindguard_port *port)
{
	struct text text = {0};

	if (!port)
		return NULL;
	bindguard_port_text(port, &text);
	return text_take(&text);
}

/* One of both may be NULL. */
static void diff_port(uint16_t port, const struct bindguard_port *wanted, const struct bindguard_port *found,
	struct bindguard_changes *ret)
{
	char *expected = port_string(wanted);
	char *observed = port_string(found);

	if (same_string(expected, observed)) {
		free(expected);
		free(observed);
		return;
	}
	add(ret, mem_format("bind guard port %u", port), expected, observed, wanted ? wanted->origin : 0);
}

static void diff_hook(const struct bindguard *wanted, const struct bindguard *found, enum bindguard_hook hook,
	struct bindguard_changes *ret)
{
	static const char *const names[] = {[BINDGUARD_BIND4] = "bind4", [BINDGUARD_BIND6] = "bind6"};
	static const char *const words[] = {[ATTACHED_NOT] = NULL,
		[ATTACHED_NO_MORE] = "attached no more",
		[ATTACHED_OTHER] = "another program",
		[ATTACHED] = "attached"};
	const char *expected = wanted->count ? words[ATTACHED] : NULL;
	const char *observed = words[found->hooks[hook]];

	if (same_string(expected, observed))
		return;
	add(ret, mem_format("bind guard hook %s", names[hook]), expected ? mem_string(expected) : NULL,
		observed ? mem_string(observed) : NULL, wanted->count ? wanted->ports[0].origin : 0);
}

void bindguard_diff(const struct bindguard *wanted, const struct bindguard *found, struct bindguard_changes *ret)
{
	size_t w = 0;
	size_t f = 0;

	for (unsigned int hook = 0; hook < BINDGUARD_HOOKS; hook++)
		diff_hook(wanted, found, (enum bindguard_hook)hook, ret);
	if (found->undecodable)
		add(ret, mem_string("bind guard rules"), wanted->count ? mem_string("as the policy says") : NULL,
			mem_string("cannot be told"), wanted->count ? wanted->ports[0].origin : 0);
	while (w < wanted->count || f < found->count) {
		const struct bindguard_port *a = w < wanted->count ? &wanted->ports[w] : NULL;
		const struct bindguard_port *b = f < found->count ? &found->ports[f] : NULL;

		if (a && b && a->port != b->port) {
			if (a->port < b->port)
				b = NULL;
			else
				a = NULL;
		}
		diff_port(a ? a->port : b ? b->port : 0, a, b, ret);
		w += a != NULL;
		f += b != NULL;
	}
	if (!wanted->count && found->remains && !ret->count)
		add(ret, mem_string("bind guard folder"), NULL, mem_string("nothing that is in force"), 0);
}

void bindguard_changes_done(struct bindguard_changes *changes)
{
	for (size_t i = 0; i < changes->count; i++) {
		free(changes->items[i].object);
		free(changes->items[i].expected);
		free(changes->items[i].observed);
	}
	free(changes->items);
	*changes = (struct bindguard_changes){0};
}

/* --- refusals --- */

void bindguard_refusals_done(struct bindguard_refusals *refusals)
{
	free(refusals->items);
	*refusals = (struct bindguard_refusals){0};
}
