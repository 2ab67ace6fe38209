/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of src/audit share. */

#include "audit.h"

/* Appends a finding of the check, with the check's severity and remedy. The pointer is good until the next one. */
struct finding *finding_add(struct findings *findings, const struct check *check, enum outcome outcome,
	const char *subject, const char *format, ...) _printf_(5, 6);

/* ---- audit_firewall.c: our table ---- */
void assess_in_force(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_drift(const struct check *check, const struct audit_facts *facts, struct findings *ret);

/* ---- audit_bindguard.c: the guard at bind(2) ---- */
void assess_bind_guard(const struct check *check, const struct audit_facts *facts, struct findings *ret);

/* ---- audit_foreign.c: other tables ---- */
void assess_foreign_nat(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_notrack(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_flowtable(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_foreign_drop(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_legacy(const struct check *check, const struct audit_facts *facts, struct findings *ret);
void assess_owner(const struct check *check, const struct audit_facts *facts, struct findings *ret);
