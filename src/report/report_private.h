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

/* The colour, or nothing where the style has none. */
const char *paint(const struct report_style *style, const char *color);
/* Text that may hold anything, made harmless for a terminal. */
void print_clean(FILE *stream, const char *text);
/* From `column` on: the policy's place, aligned, where there is one; and the end of the line. */
void print_place(const struct report_style *style, const struct policy *policy, uint32_t origin, int column);

/* ---- report_explain.c ---- */

void text_explanation(const struct report_style *style, const struct report_explanation *report);
