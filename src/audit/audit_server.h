/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files about a server's answers share. */

#include "audit_private.h"

/* False: the check has its finding, since no server was looked at. */
bool server_known(const struct check *check, const struct audit_facts *facts, struct findings *ret);
/* What it was told, and what that is of. */
const struct intention *told_intention(const struct audit_facts *facts, const struct server_told *told);
const char *told_subject(const struct audit_facts *facts, const struct server_told *told);
bool passwords_expected(const struct audit_facts *facts);

/* Each appends nothing where all is good; then what calls it appends a pass with `good`. */
typedef void assess_told(const struct check *check, const struct audit_facts *facts, const struct server_told *told,
	struct findings *ret);
typedef void assess_server_port(const struct check *check, const struct audit_facts *facts,
	const struct server_port *port, struct findings *ret);
typedef bool choose_port(const struct server_port *port);

void each_told(const struct check *check, const struct audit_facts *facts, struct findings *ret, assess_told *assess,
	const char *good);
/* `none`: what is said where no port is chosen; NULL: nothing. */
void each_port(const struct check *check, const struct audit_facts *facts, struct findings *ret, choose_port *choose,
	assess_server_port *assess, const char *none, const char *good);
