/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "report_private.h"

/* Elements of one set that are shown without --verbose. */
#define ELEMENTS_SHOWN 12
/* Refused sources that are shown without --verbose. */
#define REFUSED_SHOWN 10
/* Where the policy's place is put, if what stands before it is shorter. */
#define PLACE_COLUMN 84

const char *paint(const struct report_style *style, const char *color)
{
	return style->color ? color : "";
}

/* Names and texts of the kernel may hold anything, but a terminal obeys some of it: control characters, those of
 * U+0080 to U+009F among them, and their single bytes, which are no UTF-8. */
void print_clean(FILE *stream, const char *text)
{
	while (*text) {
		size_t length = utf8_length(text);
		unsigned char byte = (unsigned char)*text;

		if (length == 0 || byte < 0x20 || byte == 0x7f || (byte == 0xc2 && (unsigned char)text[1] < 0xa0)) {
			fprintf(stream, "\\x%02x", byte);
			text++;
			continue;
		}
		fwrite(text, 1, length, stream);
		text += length;
	}
}

/* "policy.conf:7:", or "policy.conf:" where no line is known. */
static void print_file(FILE *stream, const char *file, unsigned int line)
{
	print_clean(stream, file);
	if (line)
		fprintf(stream, ":%u", line);
	fputc(':', stream);
}

const char *plural(size_t count, const char *one, const char *many)
{
	return count == 1 ? one : many;
}

/* --- changes --- */

static const char *kind_color(const struct report_style *style, enum change_kind kind)
{
	switch (kind) {
	case CHANGE_ADD:
		return paint(style, GREEN);
	case CHANGE_REMOVE:
		return paint(style, RED);
	case CHANGE_CHANGE:
		return paint(style, YELLOW);
	case CHANGE_MOVE:
		return paint(style, BLUE);
	}
	abort();
}

char kind_sign(enum change_kind kind)
{
	switch (kind) {
	case CHANGE_ADD:
		return '+';
	case CHANGE_REMOVE:
		return '-';
	case CHANGE_CHANGE:
		return '~';
	case CHANGE_MOVE:
		return '>';
	}
	abort();
}

void print_place(const struct report_style *style, const struct policy *policy, uint32_t origin, int column)
{
	struct srcloc where = policy && origin ? policy_place(policy, origin) : (struct srcloc){0};

	if (where.file)
		fprintf(style->stream, "%*s%s%s:%u%s", column < PLACE_COLUMN ? PLACE_COLUMN - column : 2, "",
			paint(style, DIM), where.file, where.line, paint(style, RESET));
	fputc('\n', style->stream);
}

void print_line(const struct report_style *style, enum change_kind kind, char sign, int indent, const char *label,
	const char *detail)
{
	fprintf(style->stream, "%*s%s%c%s %*s", style->indent + 2, "", kind_color(style, kind), sign,
		paint(style, RESET), indent, "");
	print_clean(style->stream, label);
	if (*detail)
		fputs("  ", style->stream);
	print_clean(style->stream, detail);
}

/* "rule 3" under its chain, "chain judge" by itself. */
static void print_change(const struct report_style *style, const struct policy *policy, const struct change *change)
{
	_cleanup_text_ struct text object = {0};
	_cleanup_text_ struct text expected = {0};
	_cleanup_text_ struct text observed = {0};
	_cleanup_text_ struct text label = {0};
	bool nested = change->object == OBJECT_RULE && change->kind == CHANGE_ADD && change->expected_chain &&
		      !change->observed_chain->name;
	int indent = nested ? 4 : 0;

	change_object_text(change, &object);
	change_expected_text(change, &expected);
	change_observed_text(change, &observed);
	if (change->kind == CHANGE_CHANGE && observed.length) {
		fprintf(style->stream, "%*s%s~%s ", style->indent + 2, "", kind_color(style, CHANGE_CHANGE),
			paint(style, RESET));
		print_clean(style->stream, text_string(&object));
		print_place(style, policy, change->origin, 4 + (int)object.length);
		print_line(style, CHANGE_REMOVE, '-', 4, "", text_string(&observed));
		fputc('\n', style->stream);
		print_line(style, CHANGE_ADD, '+', 4, "", text_string(&expected));
		fputc('\n', style->stream);
		return;
	}
	const struct text *detail = change->kind == CHANGE_REMOVE ? &observed : &expected;
	const char *shown =
		change->object == OBJECT_TABLE || change->object == OBJECT_COUNTER ? "" : text_string(detail);

	if (change->object == OBJECT_COUNTER && change->counter->comment)
		shown = change->counter->comment;
	if (nested)
		text_printf(&label, "rule %zu", change->expected_index + 1);
	else
		text_printf(&label, "%-*s", *shown ? 26 : 0, text_string(&object));
	print_line(style, change->kind, kind_sign(change->kind), indent, text_string(&label), shown);
	if (change->kind == CHANGE_MOVE)
		fprintf(style->stream, ", now rule %zu", change->observed_index + 1);
	print_place(
		style, policy, change->origin, 4 + indent + (int)label.length + (*shown ? 2 + (int)strlen(shown) : 0));
}

static bool same_run(const struct change *a, const struct change *b)
{
	return a->object == OBJECT_ELEMENT && b->object == OBJECT_ELEMENT && a->expected_set == b->expected_set &&
	       a->kind == b->kind;
}

void print_changes(
	const struct report_style *style, const struct policy *policy, const struct changeset *changes, size_t limit)
{
	char number[32];
	size_t lines = 0;

	for (size_t i = 0; i < changes->count;) {
		size_t end = i + 1;

		if (!style->verbose && ++lines > limit) {
			fprintf(style->stream, "%*s... and %s more (--verbose shows all)\n", style->indent + 2, "",
				format_count(number, changes->count - i));
			return;
		}
		while (end < changes->count && same_run(&changes->changes[i], &changes->changes[end]))
			end++;
		size_t shown = !style->verbose && end - i > ELEMENTS_SHOWN ? ELEMENTS_SHOWN - 1 : end - i;

		for (size_t k = i; k < i + shown; k++)
			print_change(style, policy, &changes->changes[k]);
		if (shown < end - i)
			fprintf(style->stream, "%*s%s%c%s ... and %s more of %s (--verbose shows all)\n",
				style->indent + 2, "", kind_color(style, changes->changes[i].kind),
				kind_sign(changes->changes[i].kind), paint(style, RESET),
				format_count(number, end - i - shown), changes->changes[i].expected_set->name);
		i = end;
	}
}

void print_totals(
	const struct report_style *style, const struct changeset *changes, const struct bindguard_changes *guard)
{
	static const char *const words[] = {[CHANGE_ADD] = "to add",
		[CHANGE_REMOVE] = "to remove",
		[CHANGE_CHANGE] = "to change",
		[CHANGE_MOVE] = "to move"};
	static const enum change_kind order[] = {CHANGE_ADD, CHANGE_CHANGE, CHANGE_MOVE, CHANGE_REMOVE};
	size_t counts[ARRAY_SIZE(words)] = {0};
	const char *between = "";
	char number[32];

	for (size_t i = 0; i < changes->count; i++)
		counts[changes->changes[i].kind]++;
	for (size_t i = 0; guard && i < guard->count; i++)
		counts[guard_change_kind(&guard->items[i])]++;
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		if (!counts[order[i]])
			continue;
		fprintf(style->stream, "%s%s %s", between, format_count(number, counts[order[i]]), words[order[i]]);
		between = ", ";
	}
}

/* "2026-01-02 03:04:05 UTC"; false where the time means nothing. */
static bool format_time(uint64_t seconds, char text[32])
{
	time_t when = (time_t)seconds;
	struct tm broken_down;

	return seconds && gmtime_r(&when, &broken_down) &&
	       strftime(text, 32, "%Y-%m-%d %H:%M:%S UTC", &broken_down) > 0;
}

static void print_confirm(const struct report_style *style, const struct report_changes *report)
{
	char when[32];

	if (!format_time(report->confirm_until, when))
		return;
	fprintf(style->stream, "%sUntil %s only%s, then back to %s: to keep it, run `dflyguard confirm`.\n",
		paint(style, YELLOW), when, paint(style, RESET),
		report->undo_removes ? "no table at all, as before" : "the policy that was in force before");
}

static void changes(const struct report_style *style, const struct report_changes *report)
{
	FILE *stream = style->stream;
	char number[32];

	if (style->quiet)
		return;
	if (report->environment)
		fprintf(stream, "%senvironment %s%s, %s, %s %s allowed\n", paint(style, BOLD), report->environment,
			paint(style, RESET), report->policy->path, format_count(number, report->sources),
			plural(report->sources, "source", "sources"));
	bool differs = report->changes->count || (report->guard && report->guard->count);

	if (differs) {
		fputc('\n', stream);
		print_changes(style, report->policy, report->changes, SIZE_MAX);
		print_guard_changes(style, report->policy, report->guard);
		fputc('\n', stream);
	}
	if (!differs) {
		fprintf(stream,
			report->environment ? "%sNothing to do%s: the kernel's table is what the policy says.\n"
					    : "%sNothing to do%s: there is no table inet " TABLE_NAME ".\n",
			paint(style, GREEN), paint(style, RESET));
		print_confirm(style, report);
		return;
	}
	if (!report->write) {
		print_totals(style, report->changes, report->guard);
		fprintf(stream, ". %sNothing was changed%s: this is a plan, `dflyguard %s` does it.\n",
			paint(style, YELLOW), paint(style, RESET),
			strcmp(style->command, "plan") == 0 ? "apply" : style->command);
		return;
	}
	fprintf(stream, "%s%s%s%s and read back: nothing differs. (%.0f ms", paint(style, GREEN),
		report->environment ? "Applied" : "Removed", paint(style, RESET),
		report->changes->count ? " in one transaction" : "", report->seconds * 1000);
	if (report->redone)
		fprintf(stream, "; begun again %u %s, because somebody else changed the ruleset meanwhile",
			report->redone, plural(report->redone, "time", "times"));
	fputs(")\n", stream);
	print_confirm(style, report);
}

static void confirm(const struct report_style *style, const struct report_confirm *report)
{
	if (style->quiet)
		return;
	if (!report->confirmed) {
		fputs("Nothing waits to be confirmed.\n", style->stream);
		return;
	}
	fprintf(style->stream, "%sConfirmed%s: environment %s of ", paint(style, GREEN), paint(style, RESET),
		report->environment);
	print_clean(style->stream, report->policy_path);
	fputs(" stays in force.\n", style->stream);
}

/* --- status --- */

const char *format_duration(char *buffer, size_t size, uint64_t seconds)
{
	if (seconds >= 86400)
		snprintf(buffer, size, "%" PRIu64 " days", seconds / 86400);
	else if (seconds >= 3600)
		snprintf(buffer, size, "%" PRIu64 " h %" PRIu64 " min", seconds / 3600, seconds / 60 % 60);
	else if (seconds >= 60)
		snprintf(buffer, size, "%" PRIu64 " min", seconds / 60);
	else
		snprintf(buffer, size, "%" PRIu64 " s", seconds);
	return buffer;
}

static void print_since(const struct report_style *style, const struct report_status *report)
{
	char text[32];
	uint64_t seconds = report->now > report->observed->since ? report->now - report->observed->since : 0;

	if (!format_time(report->observed->since, text))
		return;
	fprintf(style->stream, " since %s", text);
	fprintf(style->stream, " (%s)", format_duration(text, sizeof(text), seconds));
}

static void print_conforming(const struct report_style *style, const struct report_status *report)
{
	char number[32];

	switch (report->conforming) {
	case CONFORMING_YES:
		fprintf(style->stream, "  policy     %sas %s says%s\n", paint(style, GREEN), report->policy_path,
			paint(style, RESET));
		return;
	case CONFORMING_NO:
		fprintf(style->stream, "  policy     %s%s %s from %s%s: `dflyguard plan` shows %s\n", paint(style, RED),
			format_count(number, report->differences),
			plural(report->differences, "difference", "differences"), report->policy_path,
			paint(style, RESET), plural(report->differences, "it", "them"));
		return;
	case CONFORMING_UNKNOWN:
		fprintf(style->stream, "  policy     not compared: %s\n", report->unknown_why);
		return;
	}
	abort();
}

/* Nothing passes a chain that ends with a refusal that asks for nothing. */
static bool chain_refuses_all(const struct chain *chain)
{
	const struct rule *rule = chain && chain->rule_count ? &chain->rules[chain->rule_count - 1] : NULL;
	bool refuses = false;

	for (size_t i = 0; rule && i < rule->term_count; i++) {
		const struct term *term = &rule->terms[i];

		if (term->kind == TERM_REJECT_RESET || (term->kind == TERM_VERDICT && term->verdict == VERDICT_DROP))
			refuses = true;
		else if (term->kind != TERM_COUNTER && !(term->kind == TERM_TEST && term->selector == SELECT_L4PROTO))
			return false;
	}
	return refuses;
}

static void print_ports(const struct report_style *style, const struct ruleset *observed)
{
	const struct set *services = ruleset_set(observed, "services");

	if (!services || services->elements.count == 0 || !services->targets)
		return;
	fputs("  ports      ", style->stream);
	for (size_t i = 0; i < services->elements.count; i++) {
		const char *name = services->targets[i].chain ? services->targets[i].chain : "?";

		fprintf(style->stream, "%s%" PRIu64 " ", i ? ", " : "", intervals_get(&services->elements, i).first.lo);
		print_clean(style->stream, name);
		if (chain_refuses_all(ruleset_chain(observed, name)))
			fputs(" (closed)", style->stream);
	}
	fputc('\n', style->stream);
}

/* The rate that a dynamic set keeps, or 0. */
static uint32_t meter_rate(const struct ruleset *observed, const char *name)
{
	const struct set *set = ruleset_set(observed, name);

	return set && !set->opaque && set->meter == METER_RATE ? set->meter_limit : 0;
}

/* The term that limits the open connections of IPv6 sources. */
static const struct term *find_connections(const struct ruleset *observed)
{
	for (size_t c = 0; c < observed->chain_count; c++)
		for (size_t r = 0; r < observed->chains[c].rule_count; r++) {
			const struct rule *rule = &observed->chains[c].rules[r];

			for (size_t t = 0; t < rule->term_count; t++)
				if (rule->terms[t].kind == TERM_UPDATE && rule->terms[t].connections &&
					rule->terms[t].selector == SELECT_IP6_SADDR)
					return &rule->terms[t];
		}
	return NULL;
}

/* The first term of this kind in any rule, and the rule that it is in; NULL where there is none. `name` may be NULL. */
static const struct term *find_term(
	const struct ruleset *observed, enum term_kind kind, const char *name, const struct rule **ret)
{
	for (size_t c = 0; c < observed->chain_count; c++)
		for (size_t r = 0; r < observed->chains[c].rule_count; r++) {
			const struct rule *rule = &observed->chains[c].rules[r];

			for (size_t t = 0; t < rule->term_count; t++)
				if (rule->terms[t].kind == kind && (!name || same_string(rule->terms[t].name, name))) {
					if (ret)
						*ret = rule;
					return &rule->terms[t];
				}
		}
	return NULL;
}

static void print_limits(const struct report_style *style, const struct ruleset *observed)
{
	const struct term *connections = find_connections(observed);
	uint32_t open = connections ? connections->connections : 0;
	uint32_t rate = meter_rate(observed, "new_connections_v4");
	const struct term *update =
		connections ? connections : find_term(observed, TERM_UPDATE, "new_connections_v6", NULL);
	char number[32];

	fputs("  limits     ", style->stream);
	if (!open && !rate) {
		fputs("none\n", style->stream);
		return;
	}
	if (open)
		fprintf(style->stream, "%s %s", format_count(number, open), plural(open, "connection", "connections"));
	if (rate)
		fprintf(style->stream, open ? ", %s new a second" : "%s new connections a second",
			format_count(number, rate));
	fputs(" per source", style->stream);
	if (update && value_compare(update->mask, value_zero()) != 0)
		fprintf(style->stream, " (IPv6 by /%d)",
			__builtin_popcountll(update->mask.hi) + __builtin_popcountll(update->mask.lo));
	fputc('\n', style->stream);
}

static void print_log(const struct report_style *style, const struct ruleset *observed)
{
	const struct rule *rule = NULL;
	const struct term *log = find_term(observed, TERM_LOG, NULL, &rule);
	bool sampled = false;

	if (!log) {
		fputs("  log        none\n", style->stream);
		return;
	}
	for (size_t i = 0; i < rule->term_count; i++)
		sampled = sampled || rule->terms[i].kind == TERM_LIMIT;
	fprintf(style->stream, "  log        %s to NFLOG group %" PRIu64 "\n", sampled ? "sampled" : "all",
		log->value.lo);
}

/* The bits of the label that the rules set. */
static struct value used_labels(const struct ruleset *observed)
{
	struct value used = value_zero();

	for (size_t c = 0; c < observed->chain_count; c++)
		for (size_t r = 0; r < observed->chains[c].rule_count; r++) {
			const struct rule *rule = &observed->chains[c].rules[r];

			for (size_t t = 0; t < rule->term_count; t++)
				if (rule->terms[t].kind == TERM_SET_LABEL) {
					used.hi |= rule->terms[t].value.hi;
					used.lo |= rule->terms[t].value.lo;
				}
		}
	return used;
}

/* Others must leave them alone. */
static void print_labels(const struct report_style *style, const struct ruleset *observed)
{
	struct value used = used_labels(observed);
	int first;
	int last;

	if (value_compare(used, value_zero()) == 0)
		return;
	first = used.lo ? __builtin_ctzll(used.lo) : 64 + __builtin_ctzll(used.hi);
	last = used.hi ? 127 - __builtin_clzll(used.hi) : 63 - __builtin_clzll(used.lo);
	fprintf(style->stream, "  labels     %d", first);
	if (last > first)
		fprintf(style->stream, " to %d", last);
	fputs(" of connection tracking\n", style->stream);
}

static void print_refused_source(const struct report_style *style, const struct refused_source *source, int width)
{
	char address[INTERVAL_TEXT];
	char number[32];
	char bytes[32];
	char ago[64];

	fprintf(style->stream, "  %-*s %12s %10s   ", width, value_format(source->width, source->address, address),
		format_count(number, source->packets), format_bytes(bytes, source->bytes));
	if (source->seconds_ago == REFUSED_UNKNOWN)
		snprintf(ago, sizeof(ago), "not known");
	else
		snprintf(ago, sizeof(ago), "%s ago", format_duration(number, sizeof(number), source->seconds_ago));
	fprintf(style->stream, "%-16s %s", ago, paint(style, YELLOW));
	for (size_t i = 0; i < source->refusal_count; i++) {
		const char *name = reason_name(source->refusals[i].reason);

		fputs(i ? ", " : "", style->stream);
		if (name)
			fputs(name, style->stream);
		else
			fprintf(style->stream, "reason %u", source->refusals[i].reason);
	}
	fprintf(style->stream, "%s\n", paint(style, RESET));
}

static void print_refused(const struct report_style *style, const struct report_status *report)
{
	const struct refused_sources *refused = report->refused;
	char text[INTERVAL_TEXT];
	int width = 20; /* as the counters above, but for long addresses */

	if (!refused) {
		fprintf(style->stream, "\n  %stop refused sources%s not read: ", paint(style, BOLD),
			paint(style, RESET));
		print_clean(style->stream, report->refused_why);
		fputc('\n', style->stream);
		return;
	}
	if (!refused->count)
		return;
	size_t shown = !style->verbose && refused->count > REFUSED_SHOWN ? REFUSED_SHOWN : refused->count;

	for (size_t i = 0; i < shown; i++) {
		const struct refused_source *source = &refused->sources[i];
		int length = (int)strlen(value_format(source->width, source->address, text));

		width = length > width ? length : width;
	}
	fprintf(style->stream, "\n  %s%-*s %12s %10s   %-16s %s%s\n", paint(style, BOLD), width, "top refused sources",
		"packets", "bytes", "last refused", "reasons", paint(style, RESET));
	for (size_t i = 0; i < shown; i++)
		print_refused_source(style, &refused->sources[i], width);
	if (shown < refused->count)
		fprintf(style->stream, "  ... and %s more (--verbose shows all)\n",
			format_count(text, refused->count - shown));
	if (refused->full)
		fputs("  The list is full: whoever was refused later is counted by reason alone.\n", style->stream);
}

/* A policy that waits to be confirmed; also where somebody took the table away meanwhile. */
static void print_waiting(const struct report_style *style, const struct report_status *report)
{
	char when[32];
	uint64_t left = report->confirm_until > report->now ? report->confirm_until - report->now : 0;

	if (!format_time(report->confirm_until, when))
		return;
	fprintf(style->stream, "  waiting    %sfor `dflyguard confirm` until %s (%" PRIu64 " s)%s, else back to %s\n",
		paint(style, YELLOW), when, left, paint(style, RESET),
		report->undo_removes ? "no table" : "the policy before");
}

static void print_owner(const struct report_style *style, const struct report_status *report)
{
	const struct owner *owner = report->owner;
	FILE *stream = style->stream;

	if (!owner) {
		if (report->observed->flags & TABLE_PERSIST)
			fputs("  owner      nobody: a watch that owned it has ended, and anybody may change it\n",
				stream);
		return;
	}
	fputs("  owner      ", stream);
	if (owner->process) {
		print_clean(stream, owner->program);
		fprintf(stream, " (process %" PRIu32 ")", owner->process);
	} else {
		fprintf(stream, "netlink port id %" PRIu32 " (", owner->port);
		print_clean(stream, owner->why);
		fputc(')', stream);
	}
	if (report->observed->flags & TABLE_PERSIST)
		fputs(": nobody else can change it; it stays when that ends\n", stream);
	else
		fprintf(stream, ": %sit is gone when that ends%s\n", paint(style, RED), paint(style, RESET));
}

static void status(const struct report_style *style, const struct report_status *report)
{
	const struct ruleset *observed = report->observed;
	FILE *stream = style->stream;
	char number[32];
	char bytes[32];

	if (style->quiet)
		return;
	if (!report->in_force) {
		fprintf(stream, "%snot in force%s: %s\n", paint(style, RED), paint(style, RESET), report->why_not);
		if (!observed->present) {
			print_waiting(style, report);
			print_guard_status(style, report);
			return;
		}
	} else {
		fprintf(stream, "%sin force%s", paint(style, GREEN), paint(style, RESET));
		print_since(style, report);
		fputc('\n', stream);
	}
	fputc('\n', stream);
	if (observed->environment) {
		fprintf(stream, "  environment %s", paint(style, BOLD));
		print_clean(stream, observed->environment);
		fprintf(stream, "%s\n", paint(style, RESET));
	}
	print_conforming(style, report);
	print_waiting(style, report);
	print_owner(style, report);
	print_ports(style, observed);
	fprintf(stream, "  sources    %s %s who may connect\n", format_count(number, report->sources),
		plural(report->sources, "interval", "intervals"));
	print_limits(style, observed);
	print_log(style, observed);
	print_labels(style, observed);
	print_guard_status(style, report);
	fputc('\n', stream);
	fprintf(stream, "  %s%-20s %12s %10s%s\n", paint(style, BOLD), "refused", "packets", "bytes",
		paint(style, RESET));
	for (size_t i = 0; i < observed->counter_count; i++) {
		const struct counter *counter = &observed->counters[i];
		const char *name = strncmp(counter->name, "refused_", 8) == 0 ? counter->name + 8 : counter->name;

		fputs("  ", stream);
		if (counter->packets)
			fputs(paint(style, YELLOW), stream);
		print_clean(stream, name);
		fprintf(stream, "%*s %12s %10s%s", strlen(name) < 20 ? (int)(20 - strlen(name)) : 0, "",
			format_count(number, counter->packets), format_bytes(bytes, counter->bytes),
			counter->packets ? paint(style, RESET) : "");
		if (counter->comment) {
			fprintf(stream, "   %s", paint(style, DIM));
			print_clean(stream, counter->comment);
			fputs(paint(style, RESET), stream);
		}
		fputc('\n', stream);
	}
	print_refused(style, report);
	print_bans(style, report);
	print_guard_attempts(style, report);
}

/* --- check --- */

static void print_port(FILE *stream, uint16_t port, const char *what)
{
	if (port)
		fprintf(stream, ", %u %s", port, what);
}

static void print_environment(
	const struct report_style *style, const struct policy *policy, const struct environment *e)
{
	const struct service *s = &policy->service;
	struct intervals v4 = {.width = WIDTH_IPV4};
	struct intervals v6 = {.width = WIDTH_IPV6};
	char number[32];
	bool is_default = policy->default_environment && strcmp(policy->default_environment, e->name) == 0;

	policy_resolve(policy, &e->clients, &v4, &v6, NULL, NULL);
	fprintf(style->stream, "  %s%-16s%s tls %-8s  %s %s", paint(style, BOLD), e->name, paint(style, RESET),
		tls_mode_name(e->tls), format_count(number, v4.count + v6.count),
		plural(v4.count + v6.count, "client interval", "client intervals"));
	if (s->port != s->tls_port)
		print_port(style->stream, s->port, e->tls == TLS_REQUIRED ? "closed" : "plaintext");
	print_port(style->stream, s->tls_port, e->tls == TLS_OFF ? "closed" : "TLS");
	print_port(style->stream, s->admin_port, "admin");
	print_port(style->stream, s->memcached_port, "memcached");
	fprintf(style->stream, "%s%s%s\n", paint(style, DIM), is_default ? "  (default)" : "", paint(style, RESET));
	intervals_done(&v4);
	intervals_done(&v6);
}

/* What the policy says of itself, and is not so. */
static void print_unmet(const struct report_style *style, const struct policy *policy, const struct proofs *proofs)
{
	for (size_t i = 0; i < proofs->count; i++) {
		const struct proof *proof = &proofs->items[i];
		struct srcloc where = policy_place(policy, proof->expectation->origin);
		_cleanup_text_ struct text text = {0};

		if (proof->met)
			continue;
		proof_text(policy, proof, &text);
		fputs(paint(style, BOLD), style->stream);
		print_file(style->stream, where.file, where.line);
		fprintf(style->stream, "%s ", paint(style, RESET));
		print_clean(style->stream, text_string(&text));
		fputc('\n', style->stream);
	}
}

static void print_proofs(const struct report_style *style, const struct policy *policy, const struct proofs *proofs)
{
	char number[32], all[32];

	if (!proofs || !proofs->count)
		return;
	fputc('\n', style->stream);
	print_unmet(style, policy, proofs);
	if (proofs->unmet)
		fprintf(style->stream, "%s%s of %s %s not met%s\n", paint(style, RED),
			format_count(number, proofs->unmet), format_count(all, proofs->count),
			plural(proofs->count, "expectation is", "expectations are"), paint(style, RESET));
	else
		fprintf(style->stream, "%s%s %s met%s\n", paint(style, GREEN), format_count(number, proofs->count),
			plural(proofs->count, "expectation is", "expectations are"), paint(style, RESET));
}

static void check(const struct report_style *style, const struct report_check *report)
{
	const struct policy *policy = report->policy;
	char number[32];

	bool good = !report->proofs || !report->proofs->unmet;

	if (style->quiet && good)
		return;
	if (style->quiet) {
		print_unmet(style, policy, report->proofs);
		return;
	}
	fprintf(style->stream, "%s: %s%s%s, %zu %s, %s %s\n\n", policy->path, paint(style, good ? GREEN : RED),
		good ? "good" : "not what it expects of itself", paint(style, RESET), policy->environment_count,
		plural(policy->environment_count, "environment", "environments"),
		format_count(number, policy->source_count), plural(policy->source_count, "source", "sources"));
	for (size_t i = 0; i < policy->environment_count; i++)
		if (!report->environment || report->environment == &policy->environments[i])
			print_environment(style, policy, &policy->environments[i]);
	print_proofs(style, policy, report->proofs);
	if (!report->notes || !report->notes->count) {
		if (style->verbose)
			fputs("\nNothing in it is redundant or unused.\n", style->stream);
		return;
	}
	fputc('\n', style->stream);
	for (size_t i = 0; i < report->notes->count; i++) {
		const struct diagnostic *note = &report->notes->items[i];

		print_file(style->stream, note->file, note->line);
		fprintf(style->stream, " %snote:%s ", paint(style, YELLOW), paint(style, RESET));
		print_clean(style->stream, note->message);
		fputc('\n', style->stream);
	}
}

/* --- log --- */

/* The time of day, which is what one who looks on wants; with --verbose the day, too. */
void print_instant(const struct report_style *style, uint64_t nanoseconds)
{
	time_t seconds = (time_t)(nanoseconds / 1000000000);
	char text[64] = "?";
	struct tm broken_down;

	if (localtime_r(&seconds, &broken_down))
		strftime(text, sizeof(text), style->verbose ? "%Y-%m-%d %H:%M:%S" : "%H:%M:%S", &broken_down);
	fprintf(style->stream, "%s%s.%03u%s", paint(style, DIM), text, (unsigned int)(nanoseconds / 1000000 % 1000),
		paint(style, RESET));
}

static void print_packet(const struct report_style *style, const struct packet *packet)
{
	_cleanup_text_ struct text source = {0};
	_cleanup_text_ struct text destination = {0};

	if (!packet) {
		fprintf(style->stream, "%-45s", "a packet that cannot be read");
		return;
	}
	packet_source_text(packet, &source);
	packet_destination_text(packet, &destination);
	/* As wide as IPv4 can be; what is wider pushes the rest aside. */
	fprintf(style->stream, "%-21s -> %-20s", text_string(&source), text_string(&destination));
}

static void refusal(const struct report_style *style, const struct report_refusal *report)
{
	const struct packet *packet = report->packet;
	FILE *stream = style->stream;
	char number[32];

	if (report->lost) {
		print_instant(style, report->time);
		fprintf(stream, "  %s%s %s lost%s: they came faster than they could be read\n", paint(style, RED),
			format_count(number, report->lost), plural(report->lost, "notice", "notices"),
			paint(style, RESET));
	}
	print_instant(style, report->time);
	fprintf(stream, "  %s", paint(style, YELLOW));
	print_clean(stream, report->reason);
	fprintf(stream, "%s%*s  ", paint(style, RESET),
		strlen(report->reason) < 11 ? (int)(11 - strlen(report->reason)) : 0, "");
	print_packet(style, packet);
	if (report->show_payload && packet && packet->payload_length) {
		_cleanup_text_ struct text payload = {0};

		packet_payload_text(packet, &payload);
		fprintf(stream, "  begins with \"%s\"", text_string(&payload));
	} else if (report->text) {
		fprintf(stream, "  %s", report->text);
	}
	if (style->verbose) {
		fprintf(stream, "%s", paint(style, DIM));
		if (report->interface) {
			fputs("  on ", stream);
			print_clean(stream, report->interface);
		}
		if (packet && packet->has_flags) {
			_cleanup_text_ struct text flags = {0};

			packet_flags_text(packet, &flags);
			fprintf(stream, "  flags %s", flags.length ? text_string(&flags) : "none");
		}
		if (packet)
			fprintf(stream, "  %s", format_bytes(number, packet->length));
		fputs(paint(style, RESET), stream);
	}
	fputc('\n', stream);
}

/* --- error --- */

static void error(const struct report_style *style, const struct err *err, const struct diagnostics *diagnostics,
	const char *environment _unused_)
{
	FILE *stream = style->stream;
	size_t count = diagnostics ? diagnostics->count : 0;

	for (size_t i = 0; i < count; i++) {
		const struct diagnostic *item = &diagnostics->items[i];

		fputs(paint(style, BOLD), stream);
		print_file(stream, item->file, item->line);
		fprintf(stream, "%s ", paint(style, RESET));
		print_clean(stream, item->message);
		fputc('\n', stream);
	}
	if (diagnostics && diagnostics->suppressed)
		fprintf(stream, "... and %zu more\n", diagnostics->suppressed);
	fprintf(stream, "%sdflyguard:%s ", paint(style, RED), paint(style, RESET));
	if (!count && err->file[0] && (err->line || !strstr(err->message, err->file))) {
		print_file(stream, err->file, err->line);
		fputc(' ', stream);
	}
	print_clean(stream, err->message);
	fputc('\n', stream);
	if (!err->hint[0])
		return;
	fprintf(stream, "  %sto mend it:%s ", paint(style, BOLD), paint(style, RESET));
	print_clean(stream, err->hint);
	fputc('\n', stream);
}

const struct renderer report_text = {.name = "text",
	.changes = changes,
	.status = status,
	.check = check,
	.refusal = refusal,
	.confirm = confirm,
	.ban = text_ban,
	.explanation = text_explanation,
	.error = error,
	.audit = text_audit,
	.checks = text_checks,
	.event = text_event};
