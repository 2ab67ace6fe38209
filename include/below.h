/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * below: opens files of somebody who may have put links in our way: no path leads out of the folder that it begins in,
 * and none through a descriptor of /proc. By openat2(2), and where that is not to be had (systemd's RestrictSUIDSGID=
 * takes it away, as old kernels and some containers do) step by step.
 */

#include "base.h"

enum below {
	BELOW_ROOT, /* the folder is the root, as with chroot(2): "/" and ".." lead to it, and not above */
	BELOW_ONLY, /* what would lead out of it is -EXDEV */
};

/* A descriptor (close-on-exec), or a negative errno value: as open(2) with `flags`, which have no O_CREAT; -ELOOP also
 * for a link of /proc that leads to what somebody has open. */
int open_below(int directory, const char *path, int flags, enum below below);
/* The same without openat2(2). For its tests. */
int open_below_by_steps(int directory, const char *path, int flags, enum below below);
