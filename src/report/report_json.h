/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of the JSON renderer share. */

#include "report.h"

struct json;

/* ---- report_bind_json.c: `listeners`, `listeners_unknown` and `intentions` of audit; `facts` may be NULL ---- */
void json_listeners(struct json *json, const struct audit_facts *facts);
