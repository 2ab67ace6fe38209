/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What the server's TLS files hold. Question `tls-files`, each file as a descriptor and each optional: `certificate`
 * (the server's chain file), `key`, `ca` (its file of client CAs), `roots` (what this host trusts).
 *
 * Answers: `certificate` for each in the chain file, the server's own first, `index` from 0; `name` for each name that
 * the first one is for; `ca` for each in the CA file; `key`; `chain`. Where a file cannot be understood: `bad` with
 * `role` and `why`. Times are seconds since 1970.
 */

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "inspect.h"

#define MAX_FILE	 (1u << 20)
#define MAX_ROOTS	 (4u << 20) /* a host's bundle is about 220 kB */
#define MAX_READ	 4000	    /* certificates of one file; a host's bundle holds about 140 */
#define MAX_CERTIFICATES 64	    /* that are told */
#define MAX_NAMES	 256

void inspect_tls_prepare(void)
{
	OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS, NULL);
}

void certificate_fingerprint(X509 *certificate, char ret[65])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int length = 0;

	ret[0] = '\0';
	if (X509_digest(certificate, EVP_sha256(), digest, &length) != 1 || length != 32)
		return;
	for (unsigned int i = 0; i < length; i++)
		snprintf(ret + (size_t)2 * i, 3, "%02x", digest[i]);
}

/* The library's last complaint, in its words, without its numbers. */
static const char *complaint(void)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	return reason ? reason : "it is not PEM";
}

static void say_bad(struct answer *answer, const char *role, const char *why)
{
	answer_begin(answer, "bad");
	record_text(answer->text, "role", role);
	record_text(answer->text, "why", why);
	answer_end(answer);
}

/* Encrypted keys are told, never opened: nobody is asked for a password. */
static int refuse_password(char *buffer _unused_, int size _unused_, int writing _unused_, void *asked)
{
	*(bool *)asked = true;
	return -1;
}

/* --- one certificate --- */

static void put_name(struct text *text, const char *field, const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes;
	long length;

	/* RFC 2253 in reading order: one line, hostile bytes escaped. */
	X509_NAME_print_ex(bio, name, 0, (XN_FLAG_RFC2253 & ~(unsigned long)XN_FLAG_DN_REV) | ASN1_STRFLGS_ESC_CTRL);
	length = BIO_get_mem_data(bio, &bytes);
	record_bytes(text, field, bytes, length > 0 ? (size_t)length : 0);
	BIO_free(bio);
}

static void put_time(struct text *text, const char *field, const ASN1_TIME *when)
{
	struct tm broken;

	if (ASN1_TIME_to_tm(when, &broken) == 1)
		record_number(text, field, timegm(&broken));
}

static void put_key(struct text *text, EVP_PKEY *key)
{
	char group[80];
	size_t length;

	if (!key)
		return;
	record_text(text, "key_type", EVP_PKEY_get0_type_name(key));
	record_number(text, "key_bits", EVP_PKEY_get_bits(key));
	record_number(text, "key_security", EVP_PKEY_get_security_bits(key));
	if (EVP_PKEY_get_group_name(key, group, sizeof(group), &length) == 1)
		record_text(text, "curve", group);
	ERR_clear_error();
}

static void put_signature(struct text *text, X509 *certificate)
{
	int digest = 0, kind = 0, security = 0;

	record_text(text, "signature", OBJ_nid2ln(X509_get_signature_nid(certificate)));
	if (X509_get_signature_info(certificate, &digest, &kind, &security, NULL) == 1) {
		record_text(text, "digest", digest ? OBJ_nid2sn(digest) : NULL);
		record_number(text, "signature_security", security);
	}
	ERR_clear_error();
}

static bool is_self_signed(X509 *certificate)
{
	bool signed_by_itself = X509_self_signed(certificate, 1) == 1;

	ERR_clear_error();
	return signed_by_itself;
}

static void say_certificate(struct answer *answer, const char *name, X509 *certificate, int index)
{
	char fingerprint[65];
	struct text *text = answer->text;

	answer_begin(answer, name);
	record_number(text, "index", index);
	put_name(text, "subject", X509_get_subject_name(certificate));
	put_name(text, "issuer", X509_get_issuer_name(certificate));
	put_time(text, "not_before", X509_get0_notBefore(certificate));
	put_time(text, "not_after", X509_get0_notAfter(certificate));
	put_key(text, X509_get0_pubkey(certificate));
	put_signature(text, certificate);
	record_number(text, "authority", X509_check_ca(certificate) > 0);
	record_number(text, "self_signed", is_self_signed(certificate));
	/* What a client demands of a server's certificate: no usage at all is every usage. */
	record_number(text, "for_server", X509_check_purpose(certificate, X509_PURPOSE_SSL_SERVER, 0) > 0);
	certificate_fingerprint(certificate, fingerprint);
	record_text(text, "sha256", fingerprint);
	answer_end(answer);
	ERR_clear_error();
}

static void say_name(struct answer *answer, const char *kind, const void *value, size_t length)
{
	answer_begin(answer, "name");
	record_text(answer->text, "kind", kind);
	record_bytes(answer->text, "value", value, length);
	answer_end(answer);
}

static void say_address(struct answer *answer, const ASN1_OCTET_STRING *address)
{
	const unsigned char *bytes = ASN1_STRING_get0_data(address);
	int length = ASN1_STRING_length(address);
	_cleanup_text_ struct text text = {0};

	if (length != 4 && length != 16)
		return;
	for (int i = 0; i < length; i++)
		text_printf(&text, "%02x", bytes[i]);
	/* In hexadecimal: 8 digits are IPv4, 32 IPv6. */
	say_name(answer, "address", text.data, text.length);
}

/* RFC 6125: names are in the extension; only where that has none does the subject count, and modern clients do not even
 * look there. */
static void say_names(struct answer *answer, X509 *certificate)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	int count = names ? sk_GENERAL_NAME_num(names) : 0;
	char common[256];

	for (int i = 0; i < count && i < MAX_NAMES; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS)
			say_name(answer, "dns", ASN1_STRING_get0_data(name->d.dNSName),
				(size_t)ASN1_STRING_length(name->d.dNSName));
		else if (name->type == GEN_IPADD)
			say_address(answer, name->d.iPAddress);
	}
	GENERAL_NAMES_free(names);
	if (X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, common, sizeof(common)) > 0)
		say_name(answer, "common", common, strlen(common));
	ERR_clear_error();
}

/* --- files --- */

/* All certificates of a PEM text. NULL where there is none; then `ret_why` says more. Free with
 * sk_X509_pop_free(..., X509_free). */
static STACK_OF(X509) * read_certificates(const char *bytes, size_t length, const char **ret_why)
{
	BIO *bio = BIO_new_mem_buf(bytes, (int)length);
	STACK_OF(X509) *certificates = sk_X509_new_null();
	X509 *certificate;
	bool asked = false;

	while (sk_X509_num(certificates) < MAX_READ &&
		(certificate = PEM_read_bio_X509(bio, NULL, refuse_password, &asked)))
		sk_X509_push(certificates, certificate);
	*ret_why = NULL;
	if (sk_X509_num(certificates) == 0) {
		*ret_why = length == 0 ? "it is empty" : complaint();
	} else if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
		/* The server stops there, too, and leaves out what follows. */
		*ret_why = sk_X509_num(certificates) == MAX_READ ? NULL : complaint();
	}
	ERR_clear_error();
	BIO_free(bio);
	return certificates;
}

static void free_certificates(STACK_OF(X509) * certificates)
{
	sk_X509_pop_free(certificates, X509_free);
}

/* The certificates of the file in the question's field `role`; an empty stack where there is none, or it was told bad.
 */
static STACK_OF(X509) * load(const struct record *question, const char *role, struct answer *answer)
{
	int descriptor = question_descriptor(question, role);
	bool roots = strcmp(role, "roots") == 0;
	_cleanup_free_ char *bytes = NULL;
	STACK_OF(X509) * certificates;
	size_t length = 0;
	const char *why;
	int code;

	if (descriptor < 0)
		return sk_X509_new_null();
	code = read_whole(descriptor, roots ? MAX_ROOTS : MAX_FILE, &bytes, &length);
	if (code < 0) {
		say_bad(answer, role, code == -EFBIG ? "it is too large" : strerror(-code));
		return sk_X509_new_null();
	}
	certificates = read_certificates(bytes, length, &why);
	if (why)
		say_bad(answer, role, why);
	return certificates;
}

static void say_key(const struct record *question, X509 *certificate, struct answer *answer)
{
	int descriptor = question_descriptor(question, "key");
	_cleanup_free_ char *bytes = NULL;
	size_t length = 0;
	bool asked = false;
	EVP_PKEY *key;
	int code;

	if (descriptor < 0)
		return;
	code = read_whole(descriptor, MAX_FILE, &bytes, &length);
	if (code < 0) {
		say_bad(answer, "key", code == -EFBIG ? "it is too large" : strerror(-code));
		return;
	}
	BIO *bio = BIO_new_mem_buf(bytes, (int)length);

	key = PEM_read_bio_PrivateKey(bio, NULL, refuse_password, &asked);
	if (!key) {
		say_bad(answer, "key",
			asked	      ? "it is encrypted, and the server would ask for its password"
			: length == 0 ? "it is empty"
				      : complaint());
	} else {
		answer_begin(answer, "key");
		put_key(answer->text, key);
		if (certificate)
			record_number(answer->text, "matches", X509_check_private_key(certificate, key) == 1);
		answer_end(answer);
	}
	EVP_PKEY_free(key);
	BIO_free(bio);
	OPENSSL_cleanse(bytes, length);
	ERR_clear_error();
}

/* Whether a client that trusts these can follow the chain to its end; at any time, which is judged apart. */
static bool verifies(
	X509 *certificate, STACK_OF(X509) * chain, STACK_OF(X509) * trusted, int *ret_error, X509 **ret_last)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	bool good = false;

	for (int i = 0; i < sk_X509_num(trusted); i++)
		X509_STORE_add_cert(store, sk_X509_value(trusted, i));
	if (X509_STORE_CTX_init(context, store, certificate, chain) == 1) {
		X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(context), X509_V_FLAG_NO_CHECK_TIME);
		good = X509_verify_cert(context) == 1;
		*ret_error = X509_STORE_CTX_get_error(context);
		*ret_last = X509_STORE_CTX_get_current_cert(context);
		if (*ret_last)
			X509_up_ref(*ret_last);
	}
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
	ERR_clear_error();
	return good;
}

/* `end`: where the chain ends. self: the certificate signed itself; root: at one that the host or the CA file knows;
 * open: at one whose issuer, `missing`, nobody here has, which a client must; broken: `why`. */
static void say_chain(STACK_OF(X509) * chain, STACK_OF(X509) * ca, STACK_OF(X509) * roots, struct answer *answer)
{
	X509 *first = sk_X509_value(chain, 0);
	STACK_OF(X509) *trusted = sk_X509_dup(roots);
	X509 *last = NULL;
	int error = X509_V_ERR_UNSPECIFIED;
	const char *end;

	for (int i = 0; i < sk_X509_num(ca); i++)
		sk_X509_push(trusted, sk_X509_value(ca, i));
	/* A root at the end of the server's own file ends it, too. */
	for (int i = 1; i < sk_X509_num(chain); i++)
		if (is_self_signed(sk_X509_value(chain, i)))
			sk_X509_push(trusted, sk_X509_value(chain, i));
	if (is_self_signed(first))
		end = "self";
	else if (verifies(first, chain, trusted, &error, &last))
		end = "root";
	else if (error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
		 error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
		 error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE)
		end = "open";
	else
		end = "broken";
	answer_begin(answer, "chain");
	record_text(answer->text, "end", end);
	record_number(answer->text, "length", sk_X509_num(chain));
	if (strcmp(end, "broken") == 0)
		record_text(answer->text, "why", X509_verify_cert_error_string(error));
	if (last && strcmp(end, "open") == 0)
		put_name(answer->text, "missing", X509_get_issuer_name(last));
	answer_end(answer);
	X509_free(last);
	sk_X509_free(trusted);
}

void inspect_tls_files(const struct record *question, struct answer *answer)
{
	STACK_OF(X509) *chain = load(question, "certificate", answer);
	STACK_OF(X509) *ca = load(question, "ca", answer);
	STACK_OF(X509) *roots = load(question, "roots", answer);
	X509 *first = sk_X509_num(chain) > 0 ? sk_X509_value(chain, 0) : NULL;

	if (sk_X509_num(chain) > MAX_CERTIFICATES)
		say_bad(answer, "certificate", "it holds more certificates than any chain has");
	for (int i = 0; i < sk_X509_num(chain) && i < MAX_CERTIFICATES; i++)
		say_certificate(answer, "certificate", sk_X509_value(chain, i), i);
	for (int i = 0; i < sk_X509_num(ca) && i < MAX_CERTIFICATES; i++)
		say_certificate(answer, "ca", sk_X509_value(ca, i), i);
	if (first)
		say_names(answer, first);
	say_key(question, first, answer);
	if (first)
		say_chain(chain, ca, roots, answer);
	free_certificates(chain);
	free_certificates(ca);
	free_certificates(roots);
	/* At least one. */
	answer_begin(answer, "done");
	answer_end(answer);
}
