/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * How hard a password is to guess. Question `secret`: `value`. Answer `secret`: `length` in bytes, and `bits`, the
 * logarithm of the guesses that zxcvbn thinks it takes: common words, names, dates, keyboards and repetition are
 * guessed first. Or the descriptor `file` in place of `value`: the first line of that file.
 */

#include <openssl/crypto.h>
#include <string.h>
#include <zxcvbn.h>

#include "session.h"

/* What the library takes grows with the square of the length; longer passwords are not guessed for their words. */
#define MOST 100u

/* Which anybody tries first here. */
static const char *words[] = {
	"dragonfly", "redis", "valkey", "memcached", "cache", "requirepass", "foobared", "admin", NULL};

static double bits_of(const char *value)
{
	char head[MOST + 1];
	double bits;

	snprintf(head, sizeof(head), "%s", value);
	bits = ZxcvbnMatch(head, words, NULL);
	OPENSSL_cleanse(head, sizeof(head));
	return bits;
}

void inspect_secret(const struct record *question, struct answer *answer)
{
	int descriptor = question_descriptor(question, "file");
	_cleanup_free_ char *owned = NULL;
	const char *value = record_get(question, "value");
	size_t length;

	if (descriptor >= 0 && read_whole(descriptor, 65536, &owned, &length) == 0) {
		owned[first_line(owned, length)] = '\0';
		value = owned;
	}
	if (!value) {
		answer_failed(answer, "there is no password");
		return;
	}
	answer_begin(answer, "secret");
	record_number(answer->text, "length", (int64_t)strlen(value));
	record_number(answer->text, "bits", (int64_t)bits_of(value));
	answer_end(answer);
	if (owned)
		OPENSSL_cleanse(owned, strlen(owned));
}
