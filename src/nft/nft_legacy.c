/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Tables of the iptables before nf_tables: no netlink message, no event and no generation tells of them, only /proc. */

#include <errno.h>
#include <string.h>

#include "nft_foreign.h"

/* More names than the kernel has (filter, nat, mangle, raw, security) are none. */
#define LEGACY_NAMES 16

static void read_names(struct foreign *foreign, const char *path, const char *family, struct text *names)
{
	_cleanup_file_ FILE *stream = fopen(path, "re");
	char name[64];

	errno = stream ? 0 : errno;
	for (size_t i = 0; stream && i < LEGACY_NAMES && fscanf(stream, "%63s", name) == 1; i++)
		text_printf(names, "%s%s %s", names->length ? ", " : "", family, name);
	/* Without the module there is no file. */
	if (stream ? !ferror(stream) : errno == ENOENT)
		return;
	foreign->legacy = LEGACY_UNKNOWN;
	free(foreign->legacy_why);
	foreign->legacy_why = mem_format("cannot read %s: %s", path, strerror(errno));
}

void foreign_read_legacy(struct foreign *foreign, const char *directory)
{
	_cleanup_free_ char *v4 = mem_format("%s/ip_tables_names", directory);
	_cleanup_free_ char *v6 = mem_format("%s/ip6_tables_names", directory);
	_cleanup_text_ struct text names = {0};

	foreign->legacy = LEGACY_NONE;
	read_names(foreign, v4, "ip", &names);
	read_names(foreign, v6, "ip6", &names);
	if (names.length) {
		foreign->legacy = LEGACY_PRESENT;
		foreign->legacy_tables = text_take(&names);
	}
}
