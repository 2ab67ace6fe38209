/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The flags that Dragonfly v1.40 has, with type and default: its own ABSL_FLAG lines at v1.40.1 and at commit f8eca6d0b
 * (2026-08-22; the eight that came between are here too, since an alarm about a flag that works would be worse than
 * none about one that is new), helio's at 3d8b4ece, glog's (branch Absl, as in all releases but v1.39.0) and abseil's.
 * Beside them what write-ups tell people to write instead.
 */

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "flags_private.h"

/* In the order of strcmp(), for a binary search. */
#define FLAG(name, type, value, trait)                                                                                 \
	{                                                                                                              \
#name, FLAG_##type, value, "write --" #name, FLAG_##trait                                              \
	}
static const struct known_flag known_flags[] = {
	FLAG(MAXSEARCHRESULTS, UINT64, "1000000", PLAIN),
	FLAG(aclfile, STRING, "", PLAIN),
	FLAG(acllog_max_len, UINT32, "32", PLAIN),
	FLAG(admin_bind, STRING, "", PLAIN),
	FLAG(admin_nopass, BOOL, "false", PLAIN),
	FLAG(admin_port, UINT16, "0", PLAIN),
	FLAG(allocation_tracker, STRING, "", PLAIN),
	FLAG(alsologtoemail, STRING, "", PLAIN),
	FLAG(alsologtostderr, BOOL, "false", PLAIN),
	FLAG(always_flush_pipeline, BOOL, "false", PLAIN),
	FLAG(announce_port, UINT16, "0", PLAIN),
	FLAG(async_dispatch_quota, UINT32, "100", PLAIN),
	FLAG(availability_zone, STRING, "", PLAIN),
	FLAG(background_debug_jobs, BOOL, "false", PLAIN),
	FLAG(background_heartbeat, BOOL, "false", PLAIN),
	FLAG(background_snapshotting, BOOL, "false", PLAIN),
	FLAG(backing_file_direct, BOOL, "true", PLAIN),
	FLAG(bind, STRING, "", PLAIN),
	FLAG(break_replication_on_master_restart, BOOL, "false", PLAIN),
	FLAG(cache_mode, BOOL, "false", PLAIN),
	FLAG(cf_bucket_size, UINT32, "2", PLAIN),
	FLAG(cf_expansion_factor, UINT32, "1", PLAIN),
	FLAG(cf_initial_size, UINT64, "1024", PLAIN),
	FLAG(cf_max_expansions, UINT32, "32", PLAIN),
	FLAG(cf_max_iterations, UINT32, "20", PLAIN),
	FLAG(cluster_announce_ip, STRING, "", PLAIN),
	FLAG(cluster_coordinator_connect_timeout_ms, INT32, "3000", PLAIN),
	FLAG(cluster_coordinator_response_timeout_ms, INT32, "3000", PLAIN),
	FLAG(cluster_flush_decommit_memory, BOOL, "false", PLAIN),
	FLAG(cluster_mode, STRING, "", PLAIN),
	FLAG(cluster_node_id, STRING, "", PLAIN),
	FLAG(cluster_search, BOOL, "false", PLAIN),
	FLAG(colorlogtostderr, BOOL, "false", PLAIN),
	FLAG(colorlogtostdout, BOOL, "false", PLAIN),
	FLAG(command_alias, LIST, "", PLAIN),
	FLAG(compression_level, INT32, "2", PLAIN),
	FLAG(compression_mode, COMPRESSION, "MULTI_ENTRY_LZ4", PLAIN),
	FLAG(conn_io_thread_start, UINT32, "0", PLAIN),
	FLAG(conn_io_threads, UINT32, "0", PLAIN),
	FLAG(conn_use_incoming_cpu, BOOL, "false", PLAIN),
	FLAG(container_iteration_yield_interval_usec, UINT32, "500", PLAIN),
	FLAG(dbfilename, STRING, "dump-{timestamp}", PLAIN),
	FLAG(dbnum, UINT32, "16", PLAIN),
	FLAG(default_lua_flags, STRING, "", PLAIN),
	FLAG(deserialize_hnsw_index, BOOL, "false", PLAIN),
	FLAG(df_snapshot_format, BOOL, "true", PLAIN),
	FLAG(dir, STRING, "", PLAIN),
	FLAG(disable_json_defragmentation, BOOL, "false", PLAIN),
	FLAG(disk_backpressure_file_max_bytes, UINT64, "52428800", PLAIN),
	FLAG(disk_backpressure_folder, STRING, "/tmp/", PLAIN),
	FLAG(drop_log_memory, BOOL, "true", PLAIN),
	FLAG(enable_heartbeat_eviction, BOOL, "true", PLAIN),
	FLAG(enable_heartbeat_rss_eviction, BOOL, "true", PLAIN),
	FLAG(enable_memcache_io_loop_v2, BOOL, "true", PLAIN),
	FLAG(enable_pipeline_squashing_v2, BOOL, "true", PLAIN),
	FLAG(enable_resp_io_loop_v2, BOOL, "false", PLAIN),
	FLAG(enable_tcp_defer_accept, BOOL, "true", PLAIN),
	FLAG(epoll_file_threads, INT32, "0", PLAIN),
	FLAG(eviction_memory_budget_threshold, DOUBLE, "0.1", PLAIN),
	FLAG(experimental_cascaded_partial_sync, BOOL, "false", PLAIN),
	FLAG(experimental_cluster_shard_by_slot, BOOL, "false", PLAIN),
	FLAG(experimental_flat_json, BOOL, "false", PLAIN),
	FLAG(experimental_io_loop_v2, BOOL, "true", RETIRED),
	FLAG(experimental_replicaof_v2, BOOL, "true", RETIRED),
	FLAG(expose_http_api, BOOL, "false", PLAIN),
	FLAG(fiber_run_warning_threshold_ms, UINT32, "0", PLAIN),
	FLAG(fiber_safety_margin, UINT32, "1024", PLAIN),
	FLAG(flagfile, LIST, "", PLAIN),
	FLAG(force_epoll, BOOL, "false", PLAIN),
	FLAG(fromenv, LIST, "", PLAIN),
	FLAG(gcs_auth_token, STRING, "", SECRET),
	FLAG(gcs_dry_upload, BOOL, "false", PLAIN),
	FLAG(get_zero_copy, BOOL, "true", PLAIN),
	FLAG(huffman_table, STRING, "", PLAIN),
	FLAG(hz, INT32, "100", PLAIN),
	FLAG(info_replication_valkey_compatible, BOOL, "true", PLAIN),
	FLAG(interpreter_per_thread, UINT32, "10", PLAIN),
	FLAG(iobuf_min_shrink_interval_sec, UINT32, "30", PLAIN),
	FLAG(journal_omit_redundant_writes, BOOL, "true", PLAIN),
	FLAG(jsonpathv2, BOOL, "true", PLAIN),
	FLAG(keep_legacy_memory_metrics, BOOL, "false", PLAIN),
	FLAG(keys_output_limit, UINT32, "8192", PLAIN),
	FLAG(latency_tracking, BOOL, "false", PLAIN),
	FLAG(list_compress_depth, INT32, "0", PLAIN),
	FLAG(list_compress_dict_threshold, UINT32, "0", PLAIN),
	FLAG(list_compress_level, INT32, "-1", PLAIN),
	FLAG(list_max_listpack_size, INT32, "-2", PLAIN),
	FLAG(list_tiering_prefetch_depth, UINT32, "0", PLAIN),
	FLAG(list_tiering_threshold, UINT32, "0", PLAIN),
	FLAG(listpack_max_bytes, UINT64, "1024", PLAIN),
	FLAG(listpack_max_field_len, UINT64, "64", PLAIN),
	FLAG(lock_on_hashtags, BOOL, "false", PLAIN),
	FLAG(locktag_delimiter, STRING, "", PLAIN),
	FLAG(locktag_prefix, STRING, "", PLAIN),
	FLAG(locktag_skip_n_end_delimiters, UINT32, "0", PLAIN),
	FLAG(log_backtrace_at, STRING, "", PLAIN),
	FLAG(log_dir, STRING, "", PLAIN),
	FLAG(log_link, STRING, "", PLAIN),
	FLAG(log_prefix, BOOL, "true", PLAIN),
	FLAG(log_squash_info_threshold_usec, UINT32, "2147483648", PLAIN),
	FLAG(log_utc_time, BOOL, "false", PLAIN),
	FLAG(log_year_in_prefix, BOOL, "true", PLAIN),
	FLAG(logbuflevel, INT32, "0", PLAIN),
	FLAG(logbufsecs, INT32, "30", PLAIN),
	FLAG(logcleansecs, INT32, "300", PLAIN),
	FLAG(logemaillevel, INT32, "999", PLAIN),
	FLAG(logfile_mode, INT32, "436", PLAIN),
	FLAG(logmailer, STRING, "", PLAIN),
	FLAG(logtostderr, BOOL, "false", PLAIN),
	FLAG(logtostdout, BOOL, "false", PLAIN),
	FLAG(lua_allow_undeclared_auto_correct, BOOL, "false", PLAIN),
	FLAG(lua_auto_async, BOOL, "false", PLAIN),
	FLAG(lua_enable_redis_log, BOOL, "false", PLAIN),
	FLAG(lua_float_as_int_shas, LIST, "", PLAIN),
	FLAG(lua_mem_gc_threshold, UINT64, "10000000", PLAIN),
	FLAG(lua_resp2_legacy_float, BOOL, "false", PLAIN),
	FLAG(lua_undeclared_keys_shas, LIST, "", PLAIN),
	FLAG(luagc, LUA_GC, "", PLAIN),
	FLAG(managed_service_info, BOOL, "false", PLAIN),
	FLAG(master_connect_timeout_ms, INT32, "20000", PLAIN),
	FLAG(master_reconnect_timeout_ms, INT32, "1000", PLAIN),
	FLAG(masterauth, STRING, "", SECRET),
	FLAG(masteruser, STRING, "", PLAIN),
	FLAG(max_bulk_len, UINT64, "2147483648", PLAIN),
	FLAG(max_busy_read_usec, UINT32, "200", PLAIN),
	FLAG(max_busy_squash_usec, UINT32, "1000", PLAIN),
	FLAG(max_client_iobuf_len, MEMORY, "32768", PLAIN),
	FLAG(max_eviction_per_heartbeat, UINT32, "100", PLAIN),
	FLAG(max_log_size, UINT32, "1800", PLAIN),
	FLAG(max_multi_bulk_len, UINT32, "65536", PLAIN),
	FLAG(max_segment_to_consider, UINT32, "4", PLAIN),
	FLAG(max_squashed_cmd_num, UINT32, "100", PLAIN),
	FLAG(maxclients, UINT32, "64000", PLAIN),
	FLAG(maxmemory, MEMORY, "0", PLAIN),
	FLAG(mem_defrag_check_sec_interval, UINT32, "60", PLAIN),
	FLAG(mem_defrag_page_utilization_threshold, DOUBLE, "0.8", PLAIN),
	FLAG(mem_defrag_threshold, DOUBLE, "0.7", PLAIN),
	FLAG(mem_defrag_waste_threshold, DOUBLE, "0.2", PLAIN),
	FLAG(memcached_port, UINT32, "0", PLAIN),
	FLAG(mget_dedup_keys, BOOL, "false", PLAIN),
	FLAG(migrate_connections, BOOL, "true", PLAIN),
	FLAG(migration_buckets_cpu_budget, DOUBLE, "0.2", PLAIN),
	FLAG(migration_buckets_serialization_threshold, UINT32, "10", PLAIN),
	FLAG(migration_buckets_sleep_usec, UINT32, "500", PLAIN),
	FLAG(migration_finalization_timeout_ms, INT32, "30000", PLAIN),
	FLAG(minloglevel, INT32, "0", PLAIN),
	FLAG(multi_eval_squash_buffer, UINT32, "8096", PLAIN),
	FLAG(multi_exec_squash, BOOL, "true", PLAIN),
	FLAG(no_tls_on_admin_port, BOOL, "false", PLAIN),
	FLAG(notify_keyspace_events, STRING, "", PLAIN),
	FLAG(num_shards, UINT32, "0", PLAIN),
	FLAG(omit_basic_usage, BOOL, "false", PLAIN),
	FLAG(pause_wait_timeout, UINT32, "1", PLAIN),
	FLAG(pidfile, STRING, "", PLAIN),
	FLAG(pipeline_buffer_limit, MEMORY, "134217728", PLAIN),
	FLAG(pipeline_parse_in_proactor, BOOL, "true", PLAIN),
	FLAG(pipeline_prioritize_large_batches, BOOL, "true", PLAIN),
	FLAG(pipeline_queue_limit, UINT32, "10000", PLAIN),
	FLAG(pipeline_squash, UINT32, "1", PLAIN),
	FLAG(pipeline_squash_limit, UINT32, "1073741824", PLAIN),
	FLAG(pipeline_wait_batch_usec, UINT32, "0", PLAIN),
	FLAG(port, INT32, "6379", PLAIN),
	FLAG(primary_port_http_enabled, BOOL, "true", PLAIN),
	FLAG(proactor_affinity_mode, STRING, "on", PLAIN),
	FLAG(proactor_threads, UINT32, "0", PLAIN),
	FLAG(publish_buffer_limit, MEMORY, "205520896", PLAIN),
	FLAG(pubsub_slow_subscriber_timeout_ms, UINT32, "0", PLAIN),
	FLAG(rdb_ignore_expiry, BOOL, "false", PLAIN),
	FLAG(rdb_load_dry_run, BOOL, "false", PLAIN),
	FLAG(rdb_sbf_chunked, BOOL, "true", PLAIN),
	FLAG(registered_buffer_size, UINT64, "524288", PLAIN),
	FLAG(replica_announce_ip, STRING, "", PLAIN),
	FLAG(replica_delete_expired, BOOL, "true", PLAIN),
	FLAG(replica_partial_sync, BOOL, "true", PLAIN),
	FLAG(replica_priority, INT32, "100", PLAIN),
	FLAG(replicaof, REPLICA_OF, "", PLAIN),
	FLAG(replicaof_no_one_start_journal, BOOL, "true", PLAIN),
	FLAG(replication_acks_interval, INT32, "1000", PLAIN),
	FLAG(replication_dispatch_threshold, UINT32, "1500", PLAIN),
	FLAG(replication_stream_output_limit, UINT32, "1048576", PLAIN),
	FLAG(replication_timeout, UINT32, "30000", PLAIN),
	FLAG(request_cache_limit, MEMORY, "67108864", PLAIN),
	FLAG(requirepass, STRING, "", SECRET),
	FLAG(restricted_commands, LIST, "", PLAIN),
	FLAG(rss_oom_deny_ratio, DOUBLE, "1.25", PLAIN),
	FLAG(s3_ec2_metadata, BOOL, "false", PLAIN),
	FLAG(s3_endpoint, STRING, "", PLAIN),
	FLAG(s3_sign_payload, BOOL, "true", PLAIN),
	FLAG(s3_use_helio_client, BOOL, "true", PLAIN),
	FLAG(s3_use_https, BOOL, "true", PLAIN),
	FLAG(save_schedule, STRING, "", PLAIN),
	FLAG(scheduler_background_budget, UINT32, "50000", PLAIN),
	FLAG(scheduler_background_sleep_prob, UINT32, "50", PLAIN),
	FLAG(scheduler_background_warrant, UINT32, "5", PLAIN),
	FLAG(search_query_string_bytes, UINT64, "10240", PLAIN),
	FLAG(search_reject_legacy_field, BOOL, "true", PLAIN),
	FLAG(send_timeout, UINT32, "0", PLAIN),
	FLAG(serialization_max_chunk_size, UINT64, "65536", PLAIN),
	FLAG(serialization_tagged_chunks, BOOL, "true", PLAIN),
	FLAG(serialize_hnsw_index, BOOL, "false", PLAIN),
	FLAG(shard_repl_backlog_len, UINT32, "8192", PLAIN),
	FLAG(shard_repl_backlog_max_bytes, MEMORY, "0", PLAIN),
	FLAG(shard_repl_backlog_time_ms, UINT32, "5000", PLAIN),
	FLAG(shard_round_robin_prefix, STRING, "", PLAIN),
	FLAG(shard_thread_busy_polling_usec, UINT32, "0", PLAIN),
	FLAG(slot_migration_connection_timeout_ms, INT32, "2000", PLAIN),
	FLAG(slot_migration_throttle_us, UINT32, "0", PLAIN),
	FLAG(slowlog_log_slower_than, INT32, "10000", PLAIN),
	FLAG(slowlog_max_len, UINT32, "20", PLAIN),
	FLAG(snapshot_cron, CRON, "", PLAIN),
	FLAG(snapshot_egress_limit_bytes, MEMORY, "0", PLAIN),
	FLAG(squash_stats_latency_lower_limit, UINT32, "0", RETIRED),
	FLAG(squashed_reply_size_limit, UINT64, "0", PLAIN),
	FLAG(stderrthreshold, INT32, "2", PLAIN),
	FLAG(stop_logging_if_full_disk, BOOL, "false", PLAIN),
	FLAG(subset_knn_search_threshold, UINT64, "8192", PLAIN),
	FLAG(symbolize_stacktrace, BOOL, "true", PLAIN),
	FLAG(table_growth_margin, DOUBLE, "0.15", PLAIN),
	FLAG(tcp_backlog, UINT16, "256", PLAIN),
	FLAG(tcp_keepalive, UINT32, "300", PLAIN),
	FLAG(tcp_nodelay, BOOL, "true", PLAIN),
	FLAG(tcp_user_timeout, UINT32, "0", PLAIN),
	FLAG(tiered_experimental_cooling, BOOL, "true", PLAIN),
	FLAG(tiered_experimental_hash_support, BOOL, "false", PLAIN),
	FLAG(tiered_experimental_list_support, BOOL, "false", PLAIN),
	FLAG(tiered_max_file_size, MEMORY, "0", PLAIN),
	FLAG(tiered_max_pending_stash_bytes, MEMORY, "262144", PLAIN),
	FLAG(tiered_min_ttl_to_offload_ms, UINT32, "5000", PLAIN),
	FLAG(tiered_min_value_size, AT_LEAST_64, "64", PLAIN),
	FLAG(tiered_offload_threshold, DOUBLE, "0.5", PLAIN),
	FLAG(tiered_prefix, STRING, "", PLAIN),
	FLAG(tiered_storage_write_depth, UINT32, "200", RETIRED),
	FLAG(tiered_upload_threshold, DOUBLE, "0.1", PLAIN),
	FLAG(tiering_disk_storage_initial_size, MEMORY, "268435456", PLAIN),
	FLAG(timeout, UINT32, "0", PLAIN),
	FLAG(timestamp_in_logfile_name, BOOL, "true", PLAIN),
	FLAG(tls, BOOL, "false", PLAIN),
	FLAG(tls_ca_cert_dir, STRING, "", PLAIN),
	FLAG(tls_ca_cert_file, STRING, "", PLAIN),
	FLAG(tls_cert_file, STRING, "", PLAIN),
	FLAG(tls_cipher_suites, STRING, "", PLAIN),
	FLAG(tls_ciphers, STRING, "DEFAULT:!MEDIUM", PLAIN),
	FLAG(tls_key_file, STRING, "", PLAIN),
	FLAG(tls_prefer_server_ciphers, BOOL, "false", PLAIN),
	FLAG(tls_replication, BOOL, "false", PLAIN),
	FLAG(tls_session_cache_size, UINT64, "20480", PLAIN),
	FLAG(tls_session_cache_timeout, UINT64, "300", PLAIN),
	FLAG(tls_session_caching, BOOL, "false", PLAIN),
	FLAG(tryfromenv, LIST, "", PLAIN),
	FLAG(tx_queue_warning_len, UINT32, "96", PLAIN),
	FLAG(undefok, LIST, "", PLAIN),
	FLAG(unixsocket, STRING, "", PLAIN),
	FLAG(unixsocketperm, STRING, "", PLAIN),
	FLAG(unlink_experimental_async, BOOL, "true", PLAIN),
	FLAG(uring_direct_table_len, UINT32, "0", PLAIN),
	FLAG(uring_disable_iowait, BOOL, "false", PLAIN),
	FLAG(uring_recv_buffer_cnt, UINT16, "0", PLAIN),
	FLAG(use_numeric_range_tree, BOOL, "true", PLAIN),
	FLAG(use_oah_set, BOOL, "true", PLAIN),
	FLAG(user, STRING, "", PLAIN),
	FLAG(v, INT32, "0", PLAIN),
	FLAG(version_check, BOOL, "true", PLAIN),
	FLAG(vmodule, STRING, "", PLAIN),
	FLAG(write_connection_throttling_sleep_usec, UINT32, "0", PLAIN),
};
#undef FLAG

/* They print something and end: abseil knows them, but they are no flags (absl/flags/internal/usage.cc). */
static const char *const usage_flags[] = {
	"help", "helpfull", "helpmatch", "helpon", "helppackage", "helpshort", "only_check_args", "version"};

static const struct known_flag *find_folded(const char *name, size_t length)
{
	/* Hyphens and capital letters are what configurations of others have; only the exact name counts. */
	for (size_t i = 0; i < ARRAY_SIZE(known_flags); i++) {
		const char *known = known_flags[i].name;
		size_t at = 0;

		while (at < length && known[at] &&
			(name[at] == '-' ? '_' : tolower((unsigned char)name[at])) == tolower((unsigned char)known[at]))
			at++;
		if (at == length && !known[at])
			return &known_flags[i];
	}
	return NULL;
}

const struct known_flag *known_flag_find(const char *name, size_t length)
{
	size_t low = 0;
	size_t high = ARRAY_SIZE(known_flags);

	while (low < high) {
		size_t middle = (low + high) / 2;
		int r = strncmp(name, known_flags[middle].name, length);

		if (r == 0 && known_flags[middle].name[length])
			r = -1;
		if (r == 0)
			return &known_flags[middle];
		if (r < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

bool flag_is_known(const char *name)
{
	return known_flag_find(name, strlen(name)) != NULL;
}

bool flag_is_usage(const char *name, size_t length)
{
	for (size_t i = 0; i < ARRAY_SIZE(usage_flags); i++)
		if (strlen(usage_flags[i]) == length && memcmp(usage_flags[i], name, length) == 0)
			return true;
	return false;
}

bool flag_is_secret(const char *name)
{
	const struct known_flag *flag = known_flag_find(name, strlen(name));

	/* What nobody knows may be a password with a mistyped name. */
	return !flag || flag->trait == FLAG_SECRET;
}

/* Spellings that write-ups, other servers and older versions have (dragonfly-facts.md 10, dragonfly-verified.md 8). The
 * names are folded: small letters, underscores. */
#define NO_PERSISTENCE_LOG "leave it out: Dragonfly has no append-only file; write --snapshot_cron for snapshots"
#define NO_TLS_VERSIONS	   "leave it out: Dragonfly never speaks less than TLS 1.2, and no flag changes that"
#define WITH_CA		   "write --tls_ca_cert_file or --tls_ca_cert_dir: with either of them all clients must show a certificate"
static const struct {
	const char *name;
	const char *advice;
} advices[] = {
	{"acl_file", "write --aclfile"},
	{"aclfile_path", "write --aclfile"},
	{"address", "write --bind"},
	{"admin_address", "write --admin_bind"},
	{"admin_password", "write --requirepass: the admin port asks for it unless --admin_nopass is set"},
	{"announce_ip", "write --cluster_announce_ip or --replica_announce_ip"},
	{"appendfilename", NO_PERSISTENCE_LOG},
	{"appendfsync", NO_PERSISTENCE_LOG},
	{"appendonly", NO_PERSISTENCE_LOG},
	{"bind_address", "write --bind"},
	{"cluster_enabled", "write --cluster_mode=yes or --cluster_mode=emulated"},
	{"conf", "write --flagfile"},
	{"config", "write --flagfile"},
	{"config_file", "write --flagfile"},
	{"daemonize", "leave it out: the unit of systemd does it"},
	{"databases", "write --dbnum"},
	{"default_password", "write --requirepass"},
	{"enable_tls", "write --tls"},
	{"host", "write --bind"},
	{"http_admin_console", "write --primary_port_http_enabled"},
	{"include", "write --flagfile"},
	{"io_threads", "write --proactor_threads"},
	{"listen", "write --bind"},
	{"logdir", "write --log_dir"},
	{"logfile", "write --log_dir: a folder, the server names its files itself"},
	{"loglevel", "write --minloglevel: 0 information, 1 warnings, 2 errors"},
	{"masterpass", "write --masterauth"},
	{"max_clients", "write --maxclients"},
	{"max_memory", "write --maxmemory"},
	{"maxmemory_policy", "write --cache_mode to evict; else it refuses writes when memory is full"},
	{"memcache_port", "write --memcached_port"},
	{"memory", "write --maxmemory"},
	{"min_tls_version", NO_TLS_VERSIONS},
	{"notify_keyspace_event", "write --notify_keyspace_events"},
	{"oom_deny_commands", "leave it out: gone since v1.40"},
	{"oom_deny_ratio", "leave it out: gone since v1.40; see --rss_oom_deny_ratio"},
	{"pass", "write --requirepass"},
	{"password", "write --requirepass"},
	{"point_in_time_snapshot", "leave it out: gone since v1.38"},
	{"primaryauth", "write --masterauth"},
	{"protected_mode",
		"write --bind with an address: since v1.37 an empty one under systemd is loopback where there is no "
		"password, and no flag changes that"},
	{"proto_max_bulk_len", "write --max_bulk_len"},
	{"rename_command", "write --restricted_commands: renaming is gone since v1.40"},
	{"replica_of", "write --replicaof"},
	{"requirepassword", "write --requirepass"},
	{"require_pass", "write --requirepass"},
	{"save", "write --snapshot_cron"},
	{"slaveof", "write --replicaof"},
	{"ssl", "write --tls"},
	{"supervised", "leave it out: the unit of systemd does it"},
	{"threads", "write --proactor_threads"},
	{"tls_auth_clients", WITH_CA},
	{"tls_ca_cert", "write --tls_ca_cert_file"},
	{"tls_ca_file", "write --tls_ca_cert_file"},
	{"tls_cert", "write --tls_cert_file"},
	{"tls_ciphersuites", "write --tls_cipher_suites"},
	{"tls_client_cert_required", WITH_CA},
	{"tls_cluster", "write --tls_replication"},
	{"tls_enabled", "write --tls"},
	{"tls_key", "write --tls_key_file"},
	{"tls_key_file_pass", "leave it out: the key must not be encrypted"},
	{"tls_min_version", NO_TLS_VERSIONS},
	{"tls_port", "write --tls and --port: TLS is spoken on the port itself, there is no second one"},
	{"tls_prefer_server_cipher", "write --tls_prefer_server_ciphers"},
	{"tls_protocols", NO_TLS_VERSIONS},
	{"tls_versions", NO_TLS_VERSIONS},
	{"unix_socket", "write --unixsocket"},
};

const char *flag_advice(const char *name)
{
	char folded[64];
	const struct known_flag *known;
	size_t length;
	size_t used = 0;

	if (flag_is_known(name))
		return NULL;
	/* "---tls" */
	while (*name == '-')
		name++;
	length = strlen(name);

	if (length == 0 || length >= sizeof(folded))
		return NULL;
	known = find_folded(name, length);
	if (known)
		return known->advice;
	/* "tls.key" and "--no-tls": CONFIG SET folds dots, too. */
	for (size_t i = 0; i < length; i++)
		folded[used++] = (char)(name[i] == '-' || name[i] == '.' ? '_' : tolower((unsigned char)name[i]));
	folded[used] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(advices); i++)
		if (strcmp(advices[i].name, folded) == 0)
			return advices[i].advice;
	known = find_folded(folded, used);
	return known ? known->advice : NULL;
}
