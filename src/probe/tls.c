/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Facts about TLS out of what dflyguard-probe says. A record that lacks something leaves it unknown. */

#include <string.h>
#include <strings.h>

#include "tls.h"

/* As much as an offer may take; after a server that is silent the program hurries on its own. */
#define OFFER_MILLISECONDS 1500

/* --- words --- */

const char *tls_role_name(enum tls_role role)
{
	static const char *const names[] = {[TLS_CERTIFICATE] = "certificate", [TLS_KEY] = "key", [TLS_CA] = "ca"};

	return names[role];
}

/* How each is asked: the versions, and the ciphers up to TLS 1.2. */
static const struct {
	const char *name;
	const char *minimum, *maximum;
	const char *ciphers;
} offers[OFFER_COUNT] = {
	[OFFER_DEFAULT] = {"TLS", "1.0", "1.3", NULL},
	[OFFER_1_0] = {"TLS 1.0", "1.0", "1.0", NULL},
	[OFFER_1_1] = {"TLS 1.1", "1.1", "1.1", NULL},
	[OFFER_1_2] = {"TLS 1.2", "1.2", "1.2", NULL},
	[OFFER_1_3] = {"TLS 1.3", "1.3", "1.3", NULL},
	[OFFER_ANONYMOUS] = {"ciphers without a certificate", "1.0", "1.2", "aNULL:@SECLEVEL=0"},
	[OFFER_WEAK] = {"weak ciphers", "1.0", "1.2", "eNULL:EXPORT:LOW:RC4:DES:3DES:!aNULL:@SECLEVEL=0"},
	[OFFER_PLAINTEXT] = {"plaintext", NULL, NULL, NULL},
};

const char *tls_offer_name(enum tls_offer offer)
{
	return offers[offer].name;
}

/* --- memory --- */

struct tls_facts *tls_facts_new(void)
{
	return mem_zero(1, sizeof(struct tls_facts));
}

static void certificates_free(struct certificate *certificates, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(certificates[i].subject);
		free(certificates[i].issuer);
		free(certificates[i].key_type);
		free(certificates[i].curve);
		free(certificates[i].signature);
		free(certificates[i].digest);
		free(certificates[i].sha256);
	}
	free(certificates);
}

static void files_done(struct tls_files *files)
{
	for (size_t i = 0; i < TLS_ROLES; i++) {
		free(files->files[i].path);
		free(files->files[i].unknown);
		free(files->files[i].bad);
	}
	for (size_t i = 0; i < files->name_count; i++)
		free(files->names[i].text);
	free(files->names);
	certificates_free(files->certificates, files->certificate_count);
	certificates_free(files->authorities, files->authority_count);
	free(files->subject);
	free(files->flags_unknown);
	free(files->unknown);
	free(files->key_type);
	free(files->chain_why);
}

static void answer_done(struct tls_answer *answer)
{
	free(answer->version);
	free(answer->cipher);
	free(answer->sha256);
	free(answer->said);
	free(answer->why);
	*answer = (struct tls_answer){0};
}

void tls_facts_free(struct tls_facts *facts)
{
	if (!facts)
		return;
	for (size_t i = 0; i < facts->file_count; i++)
		files_done(&facts->files[i]);
	for (size_t i = 0; i < facts->port_count; i++) {
		free(facts->ports[i].subject);
		for (size_t k = 0; k < OFFER_COUNT; k++)
			answer_done(&facts->ports[i].answers[k]);
	}
	free(facts->files);
	free(facts->ports);
	free(facts->unknown);
	free(facts);
}

struct tls_files *tls_facts_add_files(struct tls_facts *facts)
{
	facts->files = mem_resize(facts->files, facts->file_count + 1, sizeof(*facts->files));
	facts->files[facts->file_count] = (struct tls_files){0};
	return &facts->files[facts->file_count++];
}

struct tls_port *tls_facts_add_port(struct tls_facts *facts)
{
	facts->ports = mem_resize(facts->ports, facts->port_count + 1, sizeof(*facts->ports));
	facts->ports[facts->port_count] = (struct tls_port){0};
	return &facts->ports[facts->port_count++];
}

static int64_t number(const struct record *record, const char *name)
{
	int64_t value;

	return record_get_number(record, name, 0, INT64_MAX, &value) ? value : 0;
}

/* --- files --- */

int64_t tls_files_ask(struct probe_job *job, const int descriptors[TLS_ROLES], int roots)
{
	int64_t id = probe_ask(job, "tls-files");

	for (size_t i = 0; i < TLS_ROLES; i++)
		probe_ask_file(job, tls_role_name((enum tls_role)i), descriptors[i]);
	probe_ask_file(job, "roots", roots);
	return id;
}

static void hear_certificate(const struct record *record, struct certificate **items, size_t *count)
{
	struct certificate *certificate;

	*items = mem_resize(*items, *count + 1, sizeof(**items));
	certificate = &(*items)[(*count)++];
	*certificate = (struct certificate){
		.subject = record_take(record, "subject"),
		.issuer = record_take(record, "issuer"),
		.key_type = record_take(record, "key_type"),
		.curve = record_take(record, "curve"),
		.key_bits = number(record, "key_bits"),
		.key_security = number(record, "key_security"),
		.signature = record_take(record, "signature"),
		.digest = record_take(record, "digest"),
		.signature_security = number(record, "signature_security"),
		.authority = record_is(record, "authority"),
		.self_signed = record_is(record, "self_signed"),
		.for_server = record_is(record, "for_server"),
		.sha256 = record_take(record, "sha256"),
	};
	certificate->times_known =
		record_get_number(record, "not_before", INT64_MIN, INT64_MAX, &certificate->not_before) &&
		record_get_number(record, "not_after", INT64_MIN, INT64_MAX, &certificate->not_after);
}

static int digit(char character)
{
	const char *digits = "0123456789abcdef";
	const char *at = character ? strchr(digits, character) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Hexadecimal, four or sixteen bytes. */
static bool hear_address(const char *text, struct certificate_name *name)
{
	unsigned char bytes[16];
	size_t length = strlen(text);

	if (length != 8 && length != 32)
		return false;
	for (size_t i = 0; i < length / 2; i++) {
		int high = digit(text[2 * i]);
		int low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i] = (unsigned char)(high * 16 + low);
	}
	name->width = length == 8 ? WIDTH_IPV4 : WIDTH_IPV6;
	name->address = value_from_bytes(name->width, bytes);
	return true;
}

static void hear_name(const struct record *record, struct tls_files *files)
{
	const char *kind = record_get(record, "kind");
	const char *text = record_get(record, "value");
	struct certificate_name name = {.kind = NAME_DNS};

	if (!kind || !text)
		return;
	if (strcmp(kind, "address") == 0) {
		name.kind = NAME_ADDRESS;
		if (!hear_address(text, &name))
			return;
	} else if (strcmp(kind, "common") == 0) {
		name.kind = NAME_COMMON;
	} else if (strcmp(kind, "dns") != 0) {
		return;
	}
	name.text = name.kind == NAME_ADDRESS ? NULL : mem_string(text);
	files->names = mem_resize(files->names, files->name_count + 1, sizeof(*files->names));
	files->names[files->name_count++] = name;
}

static void hear_bad(const struct record *record, struct tls_files *files)
{
	const char *role = record_get(record, "role");

	for (size_t i = 0; role && i < TLS_ROLES; i++)
		if (strcmp(role, tls_role_name((enum tls_role)i)) == 0 && !files->files[i].bad)
			files->files[i].bad = record_take(record, "why");
}

static void hear_key(const struct record *record, struct tls_files *files)
{
	if (files->key_known)
		return;
	files->key_known = true;
	files->key_type = record_take(record, "key_type");
	files->key_bits = number(record, "key_bits");
	files->key_matches = record_is(record, "matches");
}

static void hear_chain(const struct record *record, struct tls_files *files)
{
	static const char *const ends[] = {
		[CHAIN_SELF] = "self", [CHAIN_ROOT] = "root", [CHAIN_OPEN] = "open", [CHAIN_BROKEN] = "broken"};
	const char *end = record_get(record, "end");

	for (size_t i = CHAIN_SELF; end && i < ARRAY_SIZE(ends); i++)
		if (strcmp(end, ends[i]) == 0)
			files->chain = (enum chain_end)i;
	free(files->chain_why);
	files->chain_why = record_take(record, files->chain == CHAIN_OPEN ? "missing" : "why");
}

void tls_files_hear(const struct records *records, int64_t id, struct tls_files *files)
{
	bool done = false;

	for (size_t i = 0; i < records->count; i++) {
		const struct record *record = &records->items[i];

		if (record_id(record) != id)
			continue;
		if (strcmp(record->name, "certificate") == 0)
			hear_certificate(record, &files->certificates, &files->certificate_count);
		else if (strcmp(record->name, "ca") == 0)
			hear_certificate(record, &files->authorities, &files->authority_count);
		else if (strcmp(record->name, "name") == 0)
			hear_name(record, files);
		else if (strcmp(record->name, "bad") == 0)
			hear_bad(record, files);
		else if (strcmp(record->name, "key") == 0)
			hear_key(record, files);
		else if (strcmp(record->name, "chain") == 0)
			hear_chain(record, files);
		else if (strcmp(record->name, "done") == 0)
			done = true;
		else if (strcmp(record->name, "failed") == 0 && !files->unknown)
			files->unknown = record_take(record, "why");
	}
	if (!done && !files->unknown)
		files->unknown = mem_string("dflyguard-probe did not say");
}

/* --- offers --- */

int64_t tls_offer_ask(struct probe_job *job, enum tls_offer offer, size_t port, int descriptor, const char *server_name)
{
	int64_t id = probe_ask(job, offer == OFFER_PLAINTEXT ? "plaintext" : "handshake");

	probe_ask_number(job, "milliseconds", OFFER_MILLISECONDS);
	probe_ask_number(job, "port", (int64_t)port);
	probe_ask_text(job, "minimum", offers[offer].minimum);
	probe_ask_text(job, "maximum", offers[offer].maximum);
	probe_ask_text(job, "ciphers", offers[offer].ciphers);
	probe_ask_text(job, "server_name", server_name);
	probe_ask_file(job, "fd", descriptor);
	return id;
}

static const struct {
	const char *name;
	enum tls_outcome outcome;
} outcomes[] = {
	{"accepted", TLS_ACCEPTED},
	{"refused", TLS_REFUSED},
	{"closed", TLS_REFUSED},
	{"reset", TLS_REFUSED},
	{"certificate-required", TLS_CERTIFICATE_REQUIRED},
	{"silent", TLS_SILENT},
	{"endless", TLS_UNKNOWN},
	{"plaintext", TLS_NOT_TLS},
	{"said", TLS_ANSWERED},
};

static void hear_answer(const struct record *record, struct tls_answer *answer)
{
	const char *outcome = record_get(record, "outcome");

	for (size_t i = 0; outcome && i < ARRAY_SIZE(outcomes); i++)
		if (strcmp(outcomes[i].name, outcome) == 0)
			answer->outcome = outcomes[i].outcome;
	answer->version = record_take(record, "version");
	answer->cipher = record_take(record, "cipher");
	answer->sha256 = record_take(record, "sha256");
	answer->asked = record_is(record, "asked");
	answer->said = record_take(record, "said");
	answer->why = record_take(record, "alert");
	if (!answer->why)
		answer->why = record_take(record, "why");
	if (same_string(outcome, "endless")) {
		free(answer->why);
		answer->why = mem_string("it sends without end");
	}
	if (!answer->why && answer->outcome == TLS_REFUSED)
		answer->why = record_take(record, "outcome");
}

void tls_offer_hear(const struct records *records, int64_t id, enum tls_offer offer, struct tls_answer *answer)
{
	const char *wanted = offer == OFFER_PLAINTEXT ? "plaintext" : "handshake";

	answer_done(answer);
	for (size_t i = 0; i < records->count; i++) {
		const struct record *record = &records->items[i];

		if (record_id(record) != id || answer->outcome != TLS_UNKNOWN)
			continue;
		if (strcmp(record->name, wanted) == 0)
			hear_answer(record, answer);
		else if (strcmp(record->name, "failed") == 0 && !answer->why)
			answer->why = record_take(record, "why");
	}
	if (answer->outcome == TLS_UNKNOWN && !answer->why)
		answer->why = mem_string("dflyguard-probe did not say");
}

/* --- names --- */

static bool matches(const char *pattern, const char *name)
{
	const char *dot;

	if (strncmp(pattern, "*.", 2) != 0)
		return strcasecmp(pattern, name) == 0;
	/* The whole first label, and not the one before a top-level name alone. */
	dot = strchr(name, '.');
	return dot && dot != name && strchr(pattern + 2, '.') && strcasecmp(pattern + 1, dot) == 0;
}

bool certificate_names_host(const struct certificate_name *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (names[i].kind == NAME_DNS && matches(names[i].text, name))
			return true;
	return false;
}

bool certificate_names_address(
	const struct certificate_name *names, size_t count, enum width width, struct value address)
{
	for (size_t i = 0; i < count; i++)
		if (names[i].kind == NAME_ADDRESS && names[i].width == width &&
			value_compare(names[i].address, address) == 0)
			return true;
	return false;
}
