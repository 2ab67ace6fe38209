/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Any bytes as a flagfile, a command line, an environment, a unit file and a file of variables. Nothing may crash, leak
 * or take long; what is said is one line of printable ASCII; and who refuses to start opens nothing. The first byte
 * says what it is: f, a, e, u, v. `fuzz_flags --make-corpus DIR` writes one of each.
 */

#include <errno.h>

#include "flags.h"
#include "probe/flags_private.h"
#include "replay.h"

struct bytes {
	const uint8_t *data;
	size_t size;
};

/* The same bytes under each name but one: includes of includes, up to the bounds. */
static int read_bytes(void *data, const char *path, char **ret, size_t *ret_length, char *why)
{
	const struct bytes *bytes = data;

	if (strcmp(path, "missing") == 0)
		return -ENOENT;
	if (strcmp(path, "secret") == 0) {
		snprintf(why, INTERVAL_WHY, "not permitted");
		return -EACCES;
	}
	*ret = mem_alloc(bytes->size + 1);
	if (bytes->size)
		memcpy(*ret, bytes->data, bytes->size);
	(*ret)[bytes->size] = '\0';
	*ret_length = bytes->size;
	return 0;
}

static void check_text(const char *text)
{
	for (; text && *text; text++)
		require(*text >= 0x20 && *text < 0x7f);
}

static void check(struct intention *intention)
{
	struct intended_listener listeners[INTENDED_MAXIMUM];
	size_t count = intention_listeners(intention, listeners);

	check_text(intention->refusal);
	check_text(intention->unknown);
	require(!intention->refusal || count == 0);
	require(intention->file_count <= FLAGS_MAX_FILES && intention->flag_count <= FLAGS_MAX_FLAGS + 1);
	for (size_t i = 0; i < intention->remark_count; i++)
		check_text(intention->remarks[i].message);
	for (size_t i = 0; i < intention->flag_count; i++) {
		const struct flag *flag = &intention->flags[i];
		_cleanup_text_ struct text shown = {0};

		check_text(flag->name);
		flag_shown(flag, &shown);
		check_text(text_string(&shown));
		require(intention_flag(intention, flag->name) == flag);
		flag_advice(flag->name);
	}
	for (size_t i = 0; i < count; i++) {
		require(listeners[i].kind == INTENDED_UNIX || intention_number(intention, "port") != 0 ||
			listeners[i].kind == INTENDED_ADMIN);
		require(!listeners[i].wildcard || listeners[i].resolved);
	}
	intention_free(intention);
}

/* Texts that a NUL ends, the last one too. */
static size_t split(const uint8_t *data, size_t size, char **copy, char *texts[64])
{
	size_t count = 0;

	*copy = mem_alloc(size + 1);
	if (size)
		memcpy(*copy, data, size);
	(*copy)[size] = '\0';
	for (size_t at = 0; at < size && count < 64; at += strlen(*copy + at) + 1)
		texts[count++] = *copy + at;
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = {.data = data + 1, .size = size ? size - 1 : 0};
	char *arguments[64] = {(char *)(uintptr_t) "--flagfile=f"};
	struct flags_input input = {
		.arguments = arguments, .argument_count = 1, .read_file = read_bytes, .data = &bytes};
	_cleanup_free_ char *copy = NULL;
	struct intention *intention;
	struct server_unit *unit;

	if (size == 0)
		return 0;
	config_recognise((const char *)bytes.data, bytes.size);
	if (data[0] == 'u') {
		unit_parse("dragonfly@1.service", (const char *)bytes.data, bytes.size, &unit);
		require(unit->unknown || unit->refusal || unit->program);
		intention_read_unit("/proc/self/fdinfo", unit, &intention);
		require(!unit->unknown || intention->unknown || intention->refusal);
		unit_free(unit);
		check(intention);
		return 0;
	}
	if (data[0] == 'v') {
		struct words words = {0};

		environment_file_parse((const char *)bytes.data, bytes.size, &words);
		for (size_t i = 0; i < words.count; i++)
			require(strchr(words.items[i], '=') != NULL);
		words_done(&words);
		return 0;
	}
	if (data[0] == 'a')
		input.argument_count = split(bytes.data, bytes.size, &copy, arguments);
	if (data[0] == 'e') {
		input.environment_count = split(bytes.data, bytes.size, &copy, arguments);
		input.environment = arguments;
		input.argument_count = 0;
	}
	intention_read(&input, &intention);
	check(intention);
	return 0;
}

#ifndef FUZZING_ENGINE
static int make_corpus(const char *directory)
{
	static const char *const texts[] = {
		"f--bind=127.0.0.1 # c\r\n--requirepass=\"x\"\n# c\n\n  -port= 0x1F \n--maxmemory=1.5GiB\n",
		"f--flagfile=g,missing,secret\n--tryfromenv=bind\n--undefok=x,y\n--x=1\n",
		"f--bind\n--requirepass=x\n--noversion_check\n--replicaof=[::1]:1\n--luagc=inc/1/2/3\n",
		"fbind 127.0.0.1\nprotected-mode yes\ntls-port 6380\nprimaryauth x\n",
		"f\xef\xbb\xbf--tls\n--\n;\n--tls false\n",
		("u[Service]\nExecStart=-@/usr/bin/dragonfly x --port=%i \\\n \"--bind=\\x31\\u00e9\" ${A} $B \\; $$\n"
		 "Environment=A=1 'B=2 3'\nEnvironmentFile=-/e\nUnsetEnvironment=A\n[Install]\n"),
		"u[Service]\nExecStart=\nExecStart=/bin/sh -c 'x' ; y\nWorkingDirectory=~\n",
		"v# c\nA='x y'\nB=\"a\\\"b\"c \\\n d\n9=x\nC\n",
	};
	static const char argv[] =
		"a--bind\0::ffff:0.0.0.0%eth0\0--admin_port=9999\0--tls\0false\0--\0x\0--memcached_port=76747\0--help";
	static const char environment[] =
		"eDFLY_bind=127.1\0DFLY_PASSWORD=x\0INVOCATION_ID=\0FLAGS_port=1\0dfly_x=1\0DFLY_=";

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		write_bytes(directory, "text", i, texts[i], strlen(texts[i]));
	write_bytes(directory, "argv", 1, argv, sizeof(argv));
	write_bytes(directory, "environment", 1, environment, sizeof(environment));
	return 0;
}

int main(int count, char **arguments)
{
	if (count == 3 && strcmp(arguments[1], "--make-corpus") == 0)
		return make_corpus(arguments[2]);
	return replay_main(count, arguments);
}
#endif
