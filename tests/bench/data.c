/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "bench.h"

#define BLOCKS (1U << 24) /* /24 networks of IPv4 */

static bool block_usable(uint32_t block)
{
	uint32_t first = block >> 16, second = block >> 8 & 255;

	/* Ordinary unicast; not loopback, not what the namespaces of the packet part use. */
	return first >= 1 && first <= 223 && first != 127 && first != 10 && !(first == 169 && second == 254);
}

static struct source make_ipv4(uint64_t *random, unsigned char *used)
{
	struct source source = {.family = AF_INET, .prefix = 24 + (unsigned int)(random_next(random) % 9)};
	uint32_t block, address;

	/* One source in each block, and none in the next one: sources that touch would be merged by one program and
	 * not by the other. */
	do
		block = (uint32_t)(random_next(random) % (BLOCKS - 2)) + 1;
	while (!block_usable(block) || used[block - 1] || used[block] || used[block + 1]);
	used[block] = 1;
	address = block << 8 | (uint32_t)(random_next(random) & 255);
	address &= UINT32_MAX << (32 - source.prefix);
	address = htonl(address);
	memcpy(source.address, &address, sizeof(address));
	return source;
}

static struct source make_ipv6(uint64_t *random)
{
	struct source source = {.family = AF_INET6, .prefix = 48 + (unsigned int)(random_next(random) % 81)};
	uint64_t high = random_next(random), low = random_next(random);

	for (unsigned int i = 0; i < 8; i++) {
		source.address[i] = (unsigned char)(high >> (56 - 8 * i));
		source.address[8 + i] = (unsigned char)(low >> (56 - 8 * i));
	}
	/* 2000::/3; among 2^45 networks /48, those of the fixed seed do not meet. */
	source.address[0] = 0x20 | (source.address[0] & 0x1f);
	for (unsigned int bit = source.prefix; bit < 128; bit++)
		source.address[bit / 8] &= (unsigned char)~(0x80 >> bit % 8);
	return source;
}

struct sources sources_make(size_t count)
{
	_cleanup_free_ unsigned char *used = mem_zero(BLOCKS, 1);
	struct sources sources = {.items = mem_zero(count + 1, sizeof(*sources.items)), .count = count};
	uint64_t random = SEED + count;

	for (size_t i = 0; i <= count; i++)
		sources.items[i] = i % 10 == 9 && i < count ? make_ipv6(&random) : make_ipv4(&random, used);
	return sources;
}

void sources_done(struct sources *sources)
{
	free(sources->items);
	*sources = (struct sources){0};
}

const char *source_text(char *buffer, const struct source *source)
{
	unsigned int whole = source->family == AF_INET ? 32 : 128;

	inet_ntop(source->family, source->address, buffer, 48);
	if (source->prefix < whole)
		sprintf(buffer + strlen(buffer), "/%u", source->prefix);
	return buffer;
}

size_t sources_replaced(const struct sources *sources)
{
	size_t middle = sources->count / 2;

	return sources->items[middle].family == AF_INET ? middle : middle - 1;
}

static FILE *create(const char *path)
{
	FILE *stream = fopen(path, "we");

	if (!stream)
		fail("%s: %s", path, strerror(errno));
	return stream;
}

static void finish(FILE *stream, const char *path)
{
	bool failed = ferror(stream);

	if (fclose(stream) || failed)
		fail("%s: %s", path, strerror(errno));
}

void write_policy(const char *path, const struct sources *sources, enum policy_kind kind, enum policy_change change)
{
	size_t replaced = sources_replaced(sources), count = sources->count + (change == CHANGE_ADD);
	FILE *stream = create(path);
	char buffer[64];

	fprintf(stream,
		"default_environment = production\n"
		"service {\n\tport = %d\n\ttls_port = %d\n\tadmin_port = 0\n\tmemcached_port = 0\n}\n"
		"network bench {\n\tsources = {",
		SERVER_PORT, SERVER_TLS_PORT);
	for (size_t i = 0; i < count; i++) {
		size_t index = change == CHANGE_REPLACE && i == replaced ? sources->count : i;
		const char *text = source_text(buffer, &sources->items[index]);

		/* The client takes the place of the first source, so that there are as many as the row says. */
		if (kind != POLICY_TLS && i == 0)
			text = CLIENT_NETWORK;
		fprintf(stream, "%s\n\t\t\"%s\"", i ? "," : "", text);
	}
	fprintf(stream, "\n\t}\n}\nenvironment production {\n\ttls = %s\n\tclients = {bench}\n",
		kind == POLICY_PLAIN ? "off" : "required");
	/* The packet part opens thousands of connections a second from one address. */
	if (kind != POLICY_TLS)
		fprintf(stream, "\tmax_connections_per_source = 0\n\tnew_connections_per_second = 0\n");
	fprintf(stream, "}\n");
	finish(stream, path);
}

static void write_set(FILE *stream, const struct sources *sources, int family)
{
	const char *separator = "";
	char buffer[64];

	fprintf(stream, "\tset clients%d {\n\t\ttype %s\n\t\tflags interval\n\t\telements = {",
		family == AF_INET ? 4 : 6, family == AF_INET ? "ipv4_addr" : "ipv6_addr");
	for (size_t i = 0; i < sources->count; i++) {
		if (sources->items[i].family != family)
			continue;
		fprintf(stream, "%s\n\t\t\t%s", separator, source_text(buffer, &sources->items[i]));
		separator = ",";
	}
	fprintf(stream, "\n\t\t}\n\t}\n");
}

void write_plain_ruleset(const char *path, const struct sources *sources)
{
	FILE *stream = create(path);

	fprintf(stream, "table inet " TABLE " {\n");
	write_set(stream, sources, AF_INET);
	write_set(stream, sources, AF_INET6);
	fprintf(stream, "\tchain input {\n"
			"\t\ttype filter hook input priority filter - 10; policy accept;\n"
			"\t\ttcp dport != { 6379, 6380 } accept\n"
			"\t\tiif lo accept\n"
			"\t\tct state established,related accept\n"
			"\t\tip saddr @clients4 accept\n"
			"\t\tip6 saddr @clients6 accept\n"
			"\t\tcounter drop\n"
			"\t}\n}\n");
	finish(stream, path);
}

void write_port_ruleset(const char *path)
{
	FILE *stream = create(path);

	fprintf(stream, "table inet " TABLE " {\n"
			"\tchain input {\n"
			"\t\ttype filter hook input priority filter - 10; policy accept;\n"
			"\t\ttcp dport { 6379, 6380 } accept\n"
			"\t}\n}\n");
	finish(stream, path);
}

void write_linear_ruleset(const char *path, const struct sources *sources)
{
	FILE *stream = create(path);
	char buffer[64];

	fprintf(stream, "table inet " TABLE " {\n"
			"\tchain input {\n"
			"\t\ttype filter hook input priority filter - 10; policy accept;\n"
			"\t\tct state established,related accept\n");
	/* The client comes last: the longest way through the chain, as each newly allowed one has it. */
	for (size_t i = 1; i < sources->count; i++)
		fprintf(stream, "\t\ttcp dport %d %s saddr %s accept\n", SERVER_PORT,
			sources->items[i].family == AF_INET ? "ip" : "ip6", source_text(buffer, &sources->items[i]));
	fprintf(stream, "\t\ttcp dport %d ip saddr " CLIENT_NETWORK " accept\n\t\ttcp dport %d drop\n\t}\n}\n",
		SERVER_PORT, SERVER_PORT);
	finish(stream, path);
}

void write_cold_ruleset(const char *path, const char *exported)
{
	/* `table inet dflyguard` alone makes sure that there is something to delete; left in, it would create the table
	 * without its comment. */
	static const char *const dropped[] = {"delete table", "destroy table", "flush ", "table ", "add table "};
	_cleanup_free_ char *text = read_file(exported);
	FILE *stream = create(path);

	if (!text)
		fail("%s: %s", exported, strerror(errno));
	for (const char *line = text; *line;) {
		size_t length = strcspn(line, "\n") + (strchr(line, '\n') != NULL);
		bool drop = false;

		for (size_t i = 0; i < ARRAY_SIZE(dropped) && !memchr(line, '{', length); i++)
			drop = drop || !strncmp(line, dropped[i], strlen(dropped[i]));
		if (!drop)
			fwrite(line, 1, length, stream);
		line += length;
	}
	finish(stream, path);
}

static const char *find_element(const char *text, const char *element)
{
	size_t length = strlen(element);

	for (const char *at = text; (at = strstr(at, element)); at += length) {
		if (at > text && strchr(" \t\n{,", at[-1]) && at[length] && strchr(" \t\n},", at[length]))
			return at;
	}
	return NULL;
}

char *find_set(const char *path, const struct sources *sources)
{
	const struct source *source = &sources->items[sources_replaced(sources)];
	_cleanup_free_ char *text = read_file(path);
	const char *at, *set = NULL;
	uint32_t first, last;
	char buffer[64];

	if (!text)
		return NULL;
	at = find_element(text, source_text(buffer, source));
	if (!at) {
		/* Perhaps written as a range. */
		memcpy(&first, source->address, sizeof(first));
		last = htonl(ntohl(first) | (uint32_t)(UINT64_C(0xffffffff) >> source->prefix));
		inet_ntop(AF_INET, &first, buffer, 16);
		strcat(buffer, "-");
		inet_ntop(AF_INET, &last, buffer + strlen(buffer), 16);
		at = find_element(text, buffer);
	}
	if (!at)
		return NULL;
	for (const char *next = text; (next = strstr(next, "\tset ")) && next < at; next++)
		set = next + strlen("\tset ");
	return set ? mem_stringn(set, strcspn(set, " {\n")) : NULL;
}
