/* SPDX-License-Identifier: GPL-3.0-or-later */

/* DFLY_name: what Dragonfly itself reads from the environment, after abseil is done (ParseFlagsFromEnv()). */

#include <string.h>
#include <strings.h>

#include "flags_parser.h"

static bool came_from_environment(const struct parser *parser, const char *name)
{
	for (size_t i = 0; i < parser->from_environment_count; i++)
		if (strcmp(parser->from_environment[i], name) == 0)
			return true;
	return false;
}

static void take_variable(struct parser *parser, const char *name, size_t length, const char *value)
{
	struct intention *intention = parser->intention;
	const struct known_flag *known = known_flag_find(name, length);
	_cleanup_free_ char *whole = mem_stringn(name, length);
	const struct flag *set;
	char why[INTERVAL_WHY] = "";

	if (strcmp(whole, "DEV_ENV") == 0)
		return;
	if (length == 0 || !known || known->trait == FLAG_RETIRED) {
		_cleanup_free_ char *safe = safe_name(whole);
		const char *advice = flag_advice(safe);

		intention_refuse(intention, NULL, 0, "unknown environment variable DFLY_%s%s%s%s", safe,
			advice ? ": " : "", advice ? advice : "", advice ? " (DFLY_ instead of the hyphens)" : "");
		return;
	}
	set = intention_flag(intention, known->name);
	if (set && set->source != FLAG_ENVIRONMENT) {
		_cleanup_text_ struct text place = {0};

		if (strcmp(set->value, value) == 0)
			return;
		place_text(&place, set);
		intention_remark(intention, NOTE_ENVIRONMENT_IGNORED, NULL, 0, "DFLY_%s is ignored: %s sets the flag",
			known->name, text_string(&place));
		return;
	}
	/* Set through FLAGS_: that was on the command line, for the server. */
	if (set && came_from_environment(parser, known->name))
		return;
	if (!flag_value_reads(known, value, why)) {
		_cleanup_text_ struct text shown = {0};

		quote_value(&shown, known->name, value);
		intention_refuse(intention, NULL, 0,
			"could not parse flag %s from environment variable: illegal value %s%s%s", known->name,
			text_string(&shown), *why ? "; " : "", why);
		return;
	}
	if (known->type == FLAG_LIST && *value &&
		(strcmp(known->name, "flagfile") == 0 || strcmp(known->name, "fromenv") == 0 ||
			strcmp(known->name, "tryfromenv") == 0)) {
		intention_remark(intention, NOTE_ENVIRONMENT_IGNORED, NULL, 0,
			"DFLY_%s does nothing: it is read too late", known->name);
		return;
	}
	parser_set_flag(parser, known, NULL, value, FLAG_ENVIRONMENT, NULL, 0);
}

void take_environment(struct parser *parser)
{
	const struct flags_input *input = parser->input;
	struct intention *intention = parser->intention;

	for (size_t i = 0; i < input->environment_count && !parser->stopped; i++) {
		const char *variable = input->environment[i];
		size_t length = strcspn(variable, "=");
		const char *value = variable[length] ? variable + length + 1 : "";

		if (strncmp(variable, "INVOCATION_ID=", 14) == 0)
			intention->under_systemd = true;
		if (strncmp(variable, "DFLY_", 5) == 0) {
			take_variable(parser, variable + 5, length < 5 ? 0 : length - 5, value);
		} else if (strncasecmp(variable, "DFLY_", 5) == 0) {
			_cleanup_free_ char *safe = safe_name(variable);

			intention_remark(intention, NOTE_ENVIRONMENT_IGNORED, NULL, 0,
				"%s is ignored: its first letters must be DFLY_", safe);
		} else if (strncmp(variable, "FLAGS_", 6) == 0 && length > 6) {
			const struct known_flag *known = known_flag_find(variable + 6, length - 6);

			if (known && !came_from_environment(parser, known->name))
				intention_remark(intention, NOTE_ENVIRONMENT_IGNORED, NULL, 0,
					"FLAGS_%s is ignored without --fromenv=%s; write DFLY_%s", known->name,
					known->name, known->name);
		}
	}
	if (input->environment_unknown)
		intention_not_known(intention, "the environment, which may set flags, could not be read: %s",
			input->environment_unknown);
}
