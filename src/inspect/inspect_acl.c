/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A file of users (--aclfile), as Dragonfly reads it: dragonfly-verified.md 5. One mistake and the whole file is left
 * aside, and then whoever comes is let in unless there is a password elsewhere. Question `aclfile`: the descriptor
 * `file`.
 *
 * Answers: `user` for each (`name`, `on`, `nopass`, `empty`, `passwords`, `all`), and `aclfile` with `users`,
 * `default`=1 where it names the user default, and where it cannot be used `bad`: the first line that is to blame, and
 * `why`.
 */

#include <openssl/crypto.h>
#include <string.h>

#include "inspect.h"

#define MAX_FILE  (1u << 20)
#define MAX_USERS 1000u

struct aclfile {
	struct answer *answer;
	size_t users;
	bool has_default;
	unsigned int bad; /* its line, from 1; 0: none */
	const char *why;
};

/* The tokens behind the name; what Redis has and Dragonfly does not is a mistake. Selectors and hashes of keys are not
 * looked at more closely. */
static bool is_known(const char *word)
{
	static const char *const known[] = {"on", "off", "nopass", "resetpass", "allkeys", "resetkeys", "allchannels",
		"resetchannels", "allcommands", "nocommands", "reset", "alldbs"};

	if (strchr("><#~+-&%$", word[0]) && word[1])
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcasecmp(word, known[i]) == 0)
			return true;
	return false;
}

static void blame(struct aclfile *file, unsigned int line, const char *why)
{
	if (file->bad)
		return;
	file->bad = line;
	file->why = why;
}

static void read_line(struct aclfile *file, char *line, unsigned int number)
{
	char *rest = line;
	const char *words[4] = {NULL};
	size_t count = 0, passwords = 0;
	bool on = false, nopass = false, empty = false, all = false;
	const char *word, *name = NULL;

	while ((word = strsep(&rest, " \t"))) {
		if (!*word)
			continue;
		if (count < ARRAY_SIZE(words))
			words[count] = word;
		if (count == 1)
			name = word;
		if (count++ < 2)
			continue;
		on = strcasecmp(word, "on") == 0 ? true : strcasecmp(word, "off") == 0 ? false : on;
		nopass = nopass || strcasecmp(word, "nopass") == 0;
		passwords += word[0] == '>' || word[0] == '#';
		empty = empty || strcmp(word, ">") == 0 || strncmp(word, "#e3b0c44298fc1c1", 16) == 0;
		all = all || strcasecmp(word, "+@all") == 0 || strcasecmp(word, "allcommands") == 0;
		if (!is_known(word) && strcmp(word, ">") != 0)
			blame(file, number,
				strpbrk(word, "\r") ? "it ends with CR" : "a word that Dragonfly does not know");
	}
	if (!count)
		return;
	if (words[0][0] == '#')
		blame(file, number, "a comment, which this file cannot have");
	else if (strcasecmp(words[0], "user") != 0)
		blame(file, number, "it does not begin with `user`");
	else if (count < 4)
		blame(file, number, "too few words: Dragonfly wants four at least");
	if (!name || strcasecmp(words[0], "user") != 0)
		return;
	file->has_default = file->has_default || strcmp(name, "default") == 0;
	if (file->users++ >= MAX_USERS)
		return;
	answer_begin(file->answer, "user");
	record_text(file->answer->text, "name", name);
	record_number(file->answer->text, "on", on);
	record_number(file->answer->text, "nopass", nopass);
	record_number(file->answer->text, "empty", empty);
	record_number(file->answer->text, "passwords", (int64_t)passwords);
	record_number(file->answer->text, "all", all);
	answer_end(file->answer);
}

void inspect_aclfile(const struct record *question, struct answer *answer)
{
	struct aclfile file = {.answer = answer};
	_cleanup_free_ char *bytes = NULL;
	unsigned int number = 0;
	size_t length;
	char *rest;
	int code = read_whole(question_descriptor(question, "file"), MAX_FILE, &bytes, &length);

	if (code < 0) {
		answer_failed(answer, "it cannot be read: %s", strerror(-code));
		return;
	}
	if (memchr(bytes, '\0', length))
		blame(&file, 1, "it holds a NUL");
	rest = bytes;
	while (rest)
		read_line(&file, strsep(&rest, "\n"), ++number);
	OPENSSL_cleanse(bytes, length);
	if (file.users > MAX_USERS) {
		answer_failed(answer, "it names more than %u users", MAX_USERS);
		return;
	}
	answer_begin(answer, "aclfile");
	record_number(answer->text, "users", (int64_t)file.users);
	record_number(answer->text, "default", file.has_default);
	if (file.bad) {
		record_number(answer->text, "bad", file.bad);
		record_text(answer->text, "why", file.why);
	}
	answer_end(answer);
}
