/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of the text renderer share. */

#include "report.h"

#define RED    "\033[31m"
#define GREEN  "\033[32m"
#define YELLOW "\033[33m"
#define BLUE   "\033[34m"
#define BOLD   "\033[1m"
#define DIM    "\033[2m"
#define RESET  "\033[0m"

/* The code of a colour, or "" where there are none. */
const char *paint(const struct report_style *style, const char *color);
/* Text from elsewhere, without what a terminal would obey. */
void print_clean(FILE *stream, const char *text);
const char *plural(size_t count, const char *one, const char *many);
/* The policy's place and the end of the line, of which `column` characters are written. */
void print_place(const struct report_style *style, const struct policy *policy, uint32_t origin, int column);
/* One line or more for each change; runs of elements are cut short, and without --verbose all of it after `limit`. */
void print_changes(
	const struct report_style *style, const struct policy *policy, const struct changeset *changes, size_t limit);
/* "2 to add, 1 to remove". `guard` may be NULL. */
void print_totals(
	const struct report_style *style, const struct changeset *changes, const struct bindguard_changes *guard);
/* "+ label  detail" in the colour of the kind, without the end of the line. */
void print_line(const struct report_style *style, enum change_kind kind, char sign, int indent, const char *label,
	const char *detail);
char kind_sign(enum change_kind kind);
const char *format_duration(char *buffer, size_t size, uint64_t seconds);

/* ---- report_guard.c: the bind guard ---- */

/* "off", "deny", "rewrite". Static. */
const char *guard_mode_name(const struct bindguard *guard);
/* There are rules, and both hooks ask them. */
bool guard_in_force(const struct bindguard *guard);
enum change_kind guard_change_kind(const struct bindguard_change *change);
/* `changes` may be NULL. */
void print_guard_changes(
	const struct report_style *style, const struct policy *policy, const struct bindguard_changes *changes);
/* One line, where there is a guard or it could not be read; and whom it refused. */
void print_guard_status(const struct report_style *style, const struct report_status *report);
void print_guard_attempts(const struct report_style *style, const struct report_status *report);

/* ---- report_explain.c ---- */

void text_explanation(const struct report_style *style, const struct report_explanation *report);

/* The time of day; with --verbose the day, too. */
void print_instant(const struct report_style *style, uint64_t nanoseconds);

/* ---- report_event.c ---- */
void text_event(const struct report_style *style, const struct report_event *report);

/* ---- report_bind.c: the table of listening sockets; nothing where the host is not known ---- */
void text_listeners(const struct report_style *style, const struct audit_facts *facts);

/* ---- report_ban.c ---- */
void text_ban(const struct report_style *style, const struct report_ban *report);
/* The part of `status` that lists who is banned; nothing where nobody is. */
void print_bans(const struct report_style *style, const struct report_status *report);

/* "3 min", into a buffer of that size, which is returned. */
const char *format_duration(char *buffer, size_t size, uint64_t seconds);

/* ---- report_audit.c ---- */
void text_audit(const struct report_style *style, const struct report_audit *report);
void text_checks(const struct report_style *style, const struct check *const *checks, size_t count);
