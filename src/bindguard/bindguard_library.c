/* SPDX-License-Identifier: GPL-3.0-or-later */

/* libbpf. It is loaded and not linked, so that an apply without a bind guard does not pay for it. */

#include <dlfcn.h>
#include <errno.h>

#include "bindguard_private.h"

#define LIBRARY "libbpf.so.1"

/* What it would say goes into nobody's output: errors are told by their codes. */
static int say_nothing(enum libbpf_print_level level _unused_, const char *format _unused_, va_list arguments _unused_)
{
	return 0;
}

const struct library *library_load(struct err *err)
{
	static struct library library;
	bool complete = true;

	if (library.handle)
		return &library;
	void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	if (handle) {
#define X(name)                                                                                                        \
	library.name = (__typeof__(library.name))dlsym(handle, #name);                                                 \
	complete = complete && library.name;
		LIBRARY_FUNCTIONS(X)
#undef X
		if (complete) {
			library.libbpf_set_print(say_nothing);
			library.handle = handle;
			return &library;
		}
	}
	const char *why = dlerror();

	err_set(err, EOPNOTSUPP, ERR_IO, "bind_guard needs " LIBRARY ", which cannot be used: %s",
		why ? why : "it is too old");
	err_hint(err, "install it: apt-get install libbpf1");
	if (handle)
		dlclose(handle);
	return NULL;
}
