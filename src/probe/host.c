/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "listeners.h"

static const char *const kind_names[SERVER_KIND_COUNT] = {
	[SERVER_OTHER] = "other",
	[SERVER_DRAGONFLY] = "dragonfly",
	[SERVER_REDIS] = "redis",
	[SERVER_VALKEY] = "valkey",
	[SERVER_KEYDB] = "keydb",
	[SERVER_MEMCACHED] = "memcached",
	[SERVER_DOCKER_PROXY] = "docker-proxy",
	[SERVER_SYSTEMD] = "systemd",
};

const char *server_kind_name(enum server_kind kind)
{
	return kind_names[kind];
}
