/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What becomes of a connection, for people: the verdict first, then the way to it, rule by rule. */

#include <string.h>

#include "report_private.h"

/* Columns of the names of chains. */
#define CHAIN_WIDTH 16

static const char *decision_color(enum decision decision)
{
	switch (decision) {
	case DECISION_ALLOW:
		return GREEN;
	case DECISION_REFUSE:
		return RED;
	case DECISION_UNKNOWN:
		return YELLOW;
	}
	abort();
}

static const char *decision_word(enum decision decision)
{
	switch (decision) {
	case DECISION_ALLOW:
		return "allowed";
	case DECISION_REFUSE:
		return "refused";
	case DECISION_UNKNOWN:
		return "unknown";
	}
	abort();
}

static const char *speech(const struct journey *journey)
{
	return journey->data == speech_tls ? "TLS" : "plaintext";
}

/* "10.20.0.7 to 10.20.0.5 port 6380, translated to 172.17.0.2 port 6380, speaking TLS" */
static void print_connection(FILE *stream, const struct report_explanation *report)
{
	const struct journey *journey = report->journey;
	char buffer[INTERVAL_TEXT];

	fputs(value_format(journey->family, journey->source, buffer), stream);
	if (journey->local)
		fputs(", this host,", stream);
	fprintf(stream, " to %s port %u",
		report->any_address ? "this host" : value_format(journey->family, journey->destination, buffer),
		journey->port);
	if (journey->way == WAY_REDIRECTED)
		fprintf(stream, ", redirected to this host's port %u", journey->to_port);
	if (journey->way == WAY_PUBLISHED)
		fprintf(stream, ", translated to %s port %u", value_format(journey->family, journey->to, buffer),
			journey->to_port);
	if (journey->way == WAY_ROUTED) {
		fputs(", routed on by a ", stream);
		print_clean(stream, journey->out_kind ? journey->out_kind : "network card");
	}
	fprintf(stream, ", speaking %s%s", speech(journey),
		journey->established ? ", established before the table" : "");
}

/* Why an allowed connection is allowed, or a refused one refused. */
static const char *why(const struct report_explanation *report)
{
	const struct arrival *arrival = report->arrival;
	const struct ruleset *ruleset = report->ruleset;

	if (arrival->decision == DECISION_UNKNOWN)
		return "it depends on something in the table that dflyguard has no words for";
	if (arrival->decision == DECISION_REFUSE)
		return arrival->reason == REASON_NONE ? "a rule that counts no reason refuses it"
						      : reason_text(arrival->reason);
	if (!ruleset->present)
		return "there is no table inet " TABLE_NAME " in this network namespace";
	if (ruleset->flags & TABLE_DORMANT)
		return "table inet " TABLE_NAME " is dormant: the kernel runs none of its chains";
	if (!report->trace->judged)
		return report->use == PORT_UNGUARDED ? "the port is not guarded, and not judged"
						     : "no rule of the table concerns it";
	return NULL;
}

static void print_verdict(const struct report_style *style, const struct report_explanation *report)
{
	enum decision decision = report->arrival->decision;
	const char *reason = why(report);

	fprintf(style->stream, "%s%s%s%s: ", paint(style, BOLD), paint(style, decision_color(decision)),
		decision_word(decision), paint(style, RESET));
	print_connection(style->stream, report);
	if (reason)
		fprintf(style->stream, ": %s%s%s", paint(style, BOLD), reason, paint(style, RESET));
	fputc('\n', style->stream);
}

static const char *ending_text(enum ending ending)
{
	switch (ending) {
	case ENDING_PASSES:
	case ENDING_UNKNOWN:
		return NULL;
	case ENDING_DROPPED:
		return "is dropped in silence: the client waits until it gives up";
	case ENDING_RESET:
		return "is answered with a reset: the client hears of it at once";
	case ENDING_TORN_DOWN:
		return "becomes a reset for the server, and the client gets one with what it sends next";
	}
	abort();
}

/* Where it is decided, and what the reader must know beside it. */
static void print_remarks(const struct report_style *style, const struct report_explanation *report)
{
	const char *ending = ending_text(report->arrival->ending);

	if (ending)
		fprintf(style->stream, "  T%s %s.\n", moment_text(report->arrival->moment) + 1, ending);
	if (report->trace->limited)
		fputs("  A limit was asked, too: this takes its source to be far below it.\n", style->stream);
	if (report->arrival->decision == DECISION_ALLOW && report->ruleset->present)
		fputs("  Tables of others may still drop it.\n", style->stream);
}

static void print_source(const struct report_style *style, const struct report_explanation *report)
{
	fputc('\n', style->stream);
	if (report->live)
		fputs("the table in the kernel", style->stream);
	else
		fputs("the table that the policy compiles to", style->stream);
	if (report->environment) {
		fprintf(style->stream, ", environment %s", paint(style, BOLD));
		print_clean(style->stream, report->environment);
		fputs(paint(style, RESET), style->stream);
	}
	if (report->policy)
		fprintf(style->stream, ", %s", report->policy->path);
	fputc('\n', style->stream);
}

static const char *step_color(enum effect effect)
{
	switch (effect) {
	case EFFECT_NEXT:
	case EFFECT_JUMP:
	case EFFECT_GOTO:
		return "";
	case EFFECT_RETURN:
	case EFFECT_ACCEPT:
	case EFFECT_PASSED:
		return GREEN;
	case EFFECT_DROP:
	case EFFECT_RESET:
	case EFFECT_TURN:
	case EFFECT_POLICY:
		return RED;
	case EFFECT_UNKNOWN:
		return YELLOW;
	}
	abort();
}

static void step_text(const struct step *step, struct text *text)
{
	if (step->rule) {
		rule_print(step->rule, text);
		return;
	}
	if (step->effect == EFFECT_PASSED)
		text_append(text, "nothing against it: passes");
	else if (step->effect == EFFECT_POLICY)
		text_append(text, "the chain's policy: drop");
	else if (step->chain)
		chain_print_head(step->chain, text);
}

/* The element that decided, and what the rule says of itself. */
static void print_detail(
	const struct report_style *style, const struct report_explanation *report, const struct step *step)
{
	bool element = step->set && step->element != SIZE_MAX;
	const char *comment = step->rule && !report->live ? step->rule->comment : NULL;

	/* The first rule's comment is the label of the table. */
	if (comment && step->chain->base)
		comment = NULL;
	if (!element && !comment && !step->why)
		return;
	fprintf(style->stream, "  %*s %s", CHAIN_WIDTH + 4, "", paint(style, DIM));
	if (step->why)
		fprintf(style->stream, "not known: %s", step->why);
	if (element) {
		_cleanup_text_ struct text text = {0};
		uint32_t origin = step_element_origin(step, report->expected);

		element_print(step->set, step->element, &text);
		print_clean(style->stream, text_string(&text));
		fprintf(style->stream, " in ");
		print_clean(style->stream, step->set->name);
		if (report->policy && origin) {
			struct srcloc where = policy_place(report->policy, origin);

			fprintf(style->stream, ", %s:%u", where.file, where.line);
		}
	}
	if (comment) {
		fputs(element ? "; " : "", style->stream);
		print_clean(style->stream, comment);
	}
	fprintf(style->stream, "%s\n", paint(style, RESET));
}

static void print_step(
	const struct report_style *style, const struct report_explanation *report, const struct step *step)
{
	_cleanup_text_ struct text text = {0};
	const char *chain = step->chain ? step->chain->name : "";
	int column;

	step_text(step, &text);
	fputs("    ", style->stream);
	print_clean(style->stream, chain);
	column = (int)strlen(chain);
	fprintf(style->stream, "%*s", column < CHAIN_WIDTH ? CHAIN_WIDTH - column : 0, "");
	column = column < CHAIN_WIDTH ? CHAIN_WIDTH : column;
	if (step->rule)
		fprintf(style->stream, " %2zu  ", step->index + 1);
	else
		fputs("     ", style->stream);
	fputs(paint(style, step_color(step->effect)), style->stream);
	print_clean(style->stream, text_string(&text));
	if (*step_color(step->effect))
		fputs(paint(style, RESET), style->stream);
	print_place(style, report->policy, step->rule ? step_origin(step, report->expected) : 0,
		9 + column + (int)text.length);
	print_detail(style, report, step);
}

/* How many steps from `at` on, which begins a packet, are those of an earlier packet, which begins at `before`. */
static size_t same_steps(const struct trace *trace, size_t before, size_t at)
{
	size_t count = 0;

	for (; trace->steps[before + count].moment == trace->steps[before].moment && at + count < trace->count;
		count++) {
		const struct step *a = &trace->steps[before + count];
		const struct step *b = &trace->steps[at + count];

		if (a->chain != b->chain || a->rule != b->rule || a->element != b->element || a->effect != b->effect)
			break;
	}
	return count;
}

/* Up to where it was the same. */
static void print_turning(const struct report_style *style, const struct step *last)
{
	fputs(last->rule ? ", to chain " : ", to the end of chain ", style->stream);
	print_clean(style->stream, last->chain ? last->chain->name : "?");
	if (last->rule)
		fprintf(style->stream, " rule %zu", last->index + 1);
}

static void print_steps(const struct report_style *style, const struct report_explanation *report)
{
	const struct trace *trace = report->trace;
	size_t before = 0;
	size_t begin = 0;

	for (size_t i = 0; i < trace->count; i++) {
		bool first = i == 0 || trace->steps[i].moment != trace->steps[i - 1].moment;
		size_t same;

		if (!first) {
			print_step(style, report, &trace->steps[i]);
			continue;
		}
		if (trace->steps[begin].moment != MOMENT_ANSWER)
			before = begin;
		begin = i;
		same = i && !style->verbose ? same_steps(trace, before, i) : 0;
		fprintf(style->stream, "\n  %s%s%s\n", paint(style, BOLD), moment_text(trace->steps[i].moment),
			paint(style, RESET));
		/* A detour of one line is longer than the line. */
		if (same < 2) {
			print_step(style, report, &trace->steps[i]);
			continue;
		}
		fprintf(style->stream, "    %sas the client's one before", paint(style, DIM));
		if (i + same < trace->count && trace->steps[i + same].moment == trace->steps[i].moment)
			print_turning(style, &trace->steps[i + same - 1]);
		fprintf(style->stream, "%s\n", paint(style, RESET));
		i += same - 1;
	}
}

void text_explanation(const struct report_style *style, const struct report_explanation *report)
{
	if (style->quiet)
		return;
	print_verdict(style, report);
	print_remarks(style, report);
	if (!report->trace->judged && report->arrival->decision == DECISION_ALLOW)
		return;
	print_source(style, report);
	print_steps(style, report);
}
