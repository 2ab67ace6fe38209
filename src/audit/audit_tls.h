/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files about TLS share. */

#include "audit_private.h"

/* False: the check has its finding, since TLS was not looked at. */
bool tls_known(const struct check *check, const struct audit_facts *facts, struct findings *ret);
