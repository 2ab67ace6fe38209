/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The policies of tests/golden/ruleset, by name, and a very long one. */

#include "testing.h"

static const char *const golden_policies[] = {
	"tls-required",
	"tls-optional",
	"tls-off",
	"one-port",
	"admin",
	"admin-plain",
	"memcached",
	"memcached-optional",
	"bind",
	"admin-bind",
	"admin-bind-only",
	"loopback-tls",
	"loopback-tls-off",
	"loopback-deny",
	"routed-all",
	"routed-none",
	"nobody",
	"everybody",
	"ipv6-only",
	"everything",
	"edges",
};

static inline struct compiled compile_golden(const char *name)
{
	_cleanup_free_ char *path = mem_format("tests/golden/ruleset/%s.conf", name);
	_cleanup_free_ char *text = testing_read(path, NULL);

	if (!text)
		fail_msg("no %s: run from the top of the repository", path);
	return compile_text(path, text, NULL);
}

/* A list too long for one set: `count` sources, all in 10.0.0.0/8 and every second address, so that none touch, and as
 * many in 2001:db8::/32. The range in the middle crosses borders of parts. */
static inline char *long_policy(size_t count, const char *more)
{
	struct text text = {0};

	text_append(
		&text, "default_environment = e\nservice { port = 6379 }\nenvironment e {\n\ttls = off\n\tclients = {");
	text_append(&text, "\"10.127.255.0-10.128.0.255\", ");
	for (size_t i = 0; i < count; i++) {
		/* Spread unevenly: three quarters of them lie in the lowest sixteenth. */
		uint64_t v = i % 4 ? (uint64_t)i * 4 : 0x800400 + (uint64_t)i * 16;

		text_printf(&text, "\"10.%u.%u.%u\", \"2001:db8:%x::%x:%x\",\n", (unsigned int)(v >> 16 & 255),
			(unsigned int)(v >> 8 & 255), (unsigned int)(v & 255), (unsigned int)(i % 7),
			(unsigned int)(v >> 16), (unsigned int)(v & 0xffff));
	}
	text_printf(&text, "%s\"192.0.2.1\"}\n}\n", more);
	return text_take(&text);
}
