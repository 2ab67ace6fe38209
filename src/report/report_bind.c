/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who listens where, as the table that stands above audit's findings. */

#include <string.h>

#include "report_private.h"

/* Rows shown without --verbose. */
#define ROWS_SHOWN 20u
/* Wider texts push what comes after them to the right. */
#define COLUMN_MOST 60

/* One row, all of it as text. */
struct row {
	char *port;
	char *address;
	char *holder;
	const char *verdict;
	const char *color;
	char *remedy; /* NULL: nothing to do */
};

struct rows {
	struct row *items;
	size_t count;
	size_t capacity;
};

static void rows_done(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++) {
		free(rows->items[i].port);
		free(rows->items[i].address);
		free(rows->items[i].holder);
		free(rows->items[i].remedy);
	}
	free(rows->items);
}

static struct row *rows_add(struct rows *rows)
{
	ARRAY_GROW(rows->items, rows->count, rows->capacity);
	rows->items[rows->count] = (struct row){.color = ""};
	return &rows->items[rows->count++];
}

static const char *verdict_text(enum listener_verdict verdict)
{
	static const char *const texts[LISTENER_VERDICT_COUNT] = {
		[LISTENER_ALLOWED] = "as the policy says",
		[LISTENER_NOT_ASKED] = "one address; the policy has no bind",
		[LISTENER_LOOPBACK] = "this host only",
		[LISTENER_CONTAINER] = "inside a container",
		[LISTENER_UNGUARDED] = "not guarded",
		[LISTENER_UNLISTED] = "address not in the policy",
		[LISTENER_PUBLIC] = "public address, not in the policy",
		[LISTENER_WILDCARD] = "all addresses",
		[LISTENER_PUBLISHED] = "all addresses, for a container",
		[LISTENER_STRANGER] = "not Dragonfly",
		[LISTENER_OTHER_PORT] = "port not in the policy",
	};

	return texts[verdict];
}

static const char *verdict_color(enum listener_verdict verdict)
{
	switch (verdict) {
	case LISTENER_ALLOWED:
	case LISTENER_NOT_ASKED:
		return GREEN;
	case LISTENER_LOOPBACK:
	case LISTENER_CONTAINER:
	case LISTENER_UNGUARDED:
		return "";
	case LISTENER_UNLISTED:
	case LISTENER_PUBLISHED:
	case LISTENER_STRANGER:
		return YELLOW;
	case LISTENER_PUBLIC:
	case LISTENER_WILDCARD:
	case LISTENER_OTHER_PORT:
		return RED;
	}
	abort();
}

/* "0.0.0.0", "[::] and IPv4", "10.0.0.5%eth0 in docker 0123456789ab". */
static char *address_text(const struct host *host, const struct listener *listener)
{
	struct text text = {0};
	char *port;

	listener_text(listener, &text);
	port = strrchr(text.data, ':');
	if (port) {
		*port = '\0';
		text.length = (size_t)(port - text.data);
	}
	if (listener_is_dual(listener))
		text_append(&text, " and IPv4");
	if (listener->network)
		text_printf(&text, " in %s", host->networks[listener->network].name);
	return text_take(&text);
}

static void add_listener(struct rows *rows, const struct audit_facts *facts, const struct listener *listener)
{
	enum listener_verdict verdict = audit_listener(facts, listener);
	struct row *row = rows_add(rows);
	struct text holder = {0};

	audit_holder_text(facts->host, listener, &holder);
	row->port = mem_format("%u", listener->port);
	row->address = address_text(facts->host, listener);
	row->holder = text_take(&holder);
	row->verdict = verdict_text(verdict);
	row->color = verdict_color(verdict);
	row->remedy = audit_listener_remedy(facts, listener);
}

/* A port of the policy that nothing of ours listens on. */
static void add_silent_port(struct rows *rows, const struct audit_facts *facts, uint16_t port)
{
	struct row *row;

	if (!port || facts->host->listeners_read.unknown)
		return;
	for (size_t i = 0; i < facts->host->listener_count; i++)
		if (facts->host->listeners[i].network == 0 && facts->host->listeners[i].port == port)
			return;
	row = rows_add(rows);
	row->port = mem_format("%u", port);
	row->address = mem_string("-");
	row->holder = mem_string("-");
	row->verdict = "nothing listens";
	row->color = DIM;
}

/* What is no business of the policy is not shown: neighbours of Dragonfly, and what else runs in containers. */
static bool is_shown(const struct audit_facts *facts, const struct listener *listener)
{
	enum listener_verdict verdict = audit_listener(facts, listener);

	if (verdict != LISTENER_CONTAINER)
		return verdict != LISTENER_UNGUARDED;
	for (size_t i = 0; i < listener->process_count; i++)
		if (facts->host->processes[listener->processes[i]].kind == SERVER_DRAGONFLY)
			return true;
	return !listener->process_count;
}

static void add_rows(struct rows *rows, const struct audit_facts *facts)
{
	const struct service *service = &facts->policy->service;

	for (size_t i = 0; i < facts->host->listener_count; i++)
		if (is_shown(facts, &facts->host->listeners[i]))
			add_listener(rows, facts, &facts->host->listeners[i]);
	add_silent_port(rows, facts, service->port);
	if (service->tls_port != service->port)
		add_silent_port(rows, facts, service->tls_port);
	add_silent_port(rows, facts, service->admin_port);
	add_silent_port(rows, facts, service->memcached_port);
}

static int wider(int width, const char *text)
{
	size_t length = strlen(text);

	return length > COLUMN_MOST ? COLUMN_MOST : (int)length > width ? (int)length : width;
}

/* Clean, and then blanks up to the width. */
static void print_column(FILE *stream, const char *text, int width)
{
	int length = (int)strlen(text);

	print_clean(stream, text);
	fprintf(stream, "%*s", length < width ? width - length + 2 : 2, "");
}

static void print_row(const struct report_style *style, const struct row *row, int address, int holder)
{
	FILE *stream = style->stream;

	fputs("  ", stream);
	print_column(stream, row->port, 5);
	print_column(stream, row->address, address);
	print_column(stream, row->holder, holder);
	fprintf(stream, "%s%s%s\n", paint(style, row->color), row->verdict, paint(style, *row->color ? RESET : ""));
	if (!row->remedy)
		return;
	fprintf(stream, "         %sto mend it:%s ", paint(style, BOLD), paint(style, RESET));
	print_clean(stream, row->remedy);
	fputc('\n', stream);
}

void text_listeners(const struct report_style *style, const struct audit_facts *facts)
{
	_cleanup_(rows_done) struct rows rows = {0};
	FILE *stream = style->stream;
	int address = (int)strlen("address");
	int holder = (int)strlen("held by");
	size_t shown;

	if (!facts || !facts->host)
		return;
	add_rows(&rows, facts);
	shown = style->verbose || rows.count <= ROWS_SHOWN ? rows.count : ROWS_SHOWN;
	fprintf(stream, "%slisteners%s\n", paint(style, BOLD), paint(style, RESET));
	for (size_t i = 0; i < shown; i++) {
		address = wider(address, rows.items[i].address);
		holder = wider(holder, rows.items[i].holder);
	}
	if (shown)
		fprintf(stream, "  %s%-5s  %-*s  %-*s  %s%s\n", paint(style, DIM), "port", address, "address", holder,
			"held by", "verdict", paint(style, RESET));
	for (size_t i = 0; i < shown; i++)
		print_row(style, &rows.items[i], address, holder);
	if (shown < rows.count)
		fprintf(stream, "  %s... and %zu more: --verbose shows all%s\n", paint(style, DIM), rows.count - shown,
			paint(style, RESET));
	if (facts->host->listeners_read.unknown) {
		fprintf(stream, "  %sunknown%s: ", paint(style, YELLOW), paint(style, RESET));
		print_clean(stream, facts->host->listeners_read.unknown);
		fputc('\n', stream);
	}
	fputc('\n', stream);
}
