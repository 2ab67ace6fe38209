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
/* "2 to add, 1 to remove". */
void print_totals(const struct report_style *style, const struct changeset *changes);

/* ---- report_explain.c ---- */

void text_explanation(const struct report_style *style, const struct report_explanation *report);

/* The time of day; with --verbose the day, too. */
void print_instant(const struct report_style *style, uint64_t nanoseconds);

/* ---- report_event.c ---- */
void text_event(const struct report_style *style, const struct report_event *report);

/* ---- report_bind.c: the table of listening sockets; nothing where the host is not known ---- */
void text_listeners(const struct report_style *style, const struct audit_facts *facts);

/* ---- report_audit.c ---- */
void text_audit(const struct report_style *style, const struct report_audit *report);
void text_checks(const struct report_style *style, const struct check *checks, size_t count);
