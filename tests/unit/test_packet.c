/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Packets as hexadecimal rows: what is read from them, whole, cut short at each length, and absurd. */

#include "packet.h"
#include "testing.h"

/* "45 00 ..." into a buffer of exactly that size, so that a sanitizer sees what reads behind its end. */
static uint8_t *from_hex(const char *hex, size_t *ret_size)
{
	uint8_t *bytes = mem_alloc(strlen(hex) / 2 + 1);
	size_t size = 0;

	for (; *hex; hex++) {
		char pair[3] = {hex[0], hex[1], '\0'};

		if (*hex == ' ')
			continue;
		bytes[size++] = (uint8_t)strtoul(pair, NULL, 16);
		hex++;
	}
	*ret_size = size;
	return mem_resize(bytes, size ? size : 1, 1);
}

/* "10.66.0.10:51234 > 10.20.0.5:6379 tcp syn,ack length 60 \"PING\"", or "bad". */
static char *describe(const uint8_t *bytes, size_t size)
{
	struct packet packet;
	struct text text = {0};

	if (packet_parse(bytes, size, &packet) < 0)
		return mem_string("bad");
	packet_source_text(&packet, &text);
	text_append(&text, " > ");
	packet_destination_text(&packet, &text);
	text_printf(&text, " %u length %u", packet.protocol, packet.length);
	if (packet.has_flags) {
		text_append_char(&text, ' ');
		packet_flags_text(&packet, &text);
	}
	if (packet.payload_length) {
		text_append(&text, " \"");
		packet_payload_text(&packet, &text);
		text_append_char(&text, '"');
	}
	return text_take(&text);
}

/* 10.66.0.10 to 10.20.0.5, and the same in IPv6: 2001:db8:66::10 to 2001:db8:20::5. */
#define V4_ADDRESSES " 0a42000a 0a140005 "
#define V6_ADDRESSES " 20010db8006600000000000000000010 20010db8002000000000000000000005 "
#define PORTS	     " c822 18eb " /* 51234, 6379 */
#define SYN	     PORTS "00000001 00000000 5002 ffff 0000 0000 "
#define PUSH	     PORTS "00000001 00000002 5018 ffff 0000 0000 "
#define PUSH_32	     PORTS "00000001 00000002 8018 ffff 0000 0000 0101080a 0000000100000002 "
#define PING	     "50494e470d0a"

static const struct {
	const char *hex;
	const char *seen;
} rows[] = {
	/* Whole. */
	{"45000028 00000000 4006 0000" V4_ADDRESSES SYN, "10.66.0.10:51234 > 10.20.0.5:6379 6 length 40 syn"},
	{"4500002e 00000000 4006 0000" V4_ADDRESSES PUSH PING,
		"10.66.0.10:51234 > 10.20.0.5:6379 6 length 46 psh,ack \"PING\\r\\n\""},
	{"4500003a 00000000 4006 0000" V4_ADDRESSES PUSH_32 PING,
		"10.66.0.10:51234 > 10.20.0.5:6379 6 length 58 psh,ack \"PING\\r\\n\""},
	{"60000000 0014 06 40" V6_ADDRESSES SYN, "[2001:db8:66::10]:51234 > [2001:db8:20::5]:6379 6 length 60 syn"},
	{"60000000 001a 06 40" V6_ADDRESSES PUSH PING,
		"[2001:db8:66::10]:51234 > [2001:db8:20::5]:6379 6 length 66 psh,ack \"PING\\r\\n\""},
	{"4500001c 00000000 4011 0000" V4_ADDRESSES PORTS "0008 0000",
		"10.66.0.10:51234 > 10.20.0.5:6379 17 length 28"},
	{"4500001c 00000000 4001 0000" V4_ADDRESSES "0800 0000 0000 0000", "10.66.0.10 > 10.20.0.5 1 length 28"},
	/* All flags; sixteen bytes of the payload, and no more. */
	{"4500003c 00000000 4006 0000" V4_ADDRESSES PORTS "00000001 00000002 50ff ffff 0000 0000 "
	 "4142434445464748 494a4b4c4d4e4f50 51525354",
		"10.66.0.10:51234 > 10.20.0.5:6379 6 length 60 fin,syn,rst,psh,ack,urg,ecn,cwr \"ABCDEFGHIJKLMNOP\""},
	{"45000028 00000000 4006 0000" V4_ADDRESSES PORTS "00000001 00000002 5000 ffff 0000 0000",
		"10.66.0.10:51234 > 10.20.0.5:6379 6 length 40 "},
	/* What a terminal would obey, or a reader misunderstand. */
	{"45000038 00000000 4006 0000" V4_ADDRESSES PUSH "1b5d303b 07009b7f ff225c09 c3a40a41",
		"10.66.0.10:51234 > 10.20.0.5:6379 6 length 56 psh,ack "
		"\"\\x1b]0;\\x07\\x00\\x9b\\x7f\\xff\\\"\\\\\\t\\xc3\\xa4\\nA\""},
	/* Options of IPv4. */
	{"4800003a 00000000 4006 0000" V4_ADDRESSES "01010101 01010101 01010100" PUSH PING,
		"10.66.0.10:51234 > 10.20.0.5:6379 6 length 58 psh,ack \"PING\\r\\n\""},
	{"4f000064 00000000 4006 0000" V4_ADDRESSES "01010101", "10.66.0.10 > 10.20.0.5 6 length 100"},
	/* What comes behind the length is padding of the link. */
	{"45000028 00000000 4006 0000" V4_ADDRESSES SYN "000000000000",
		"10.66.0.10:51234 > 10.20.0.5:6379 6 length 40 syn"},
	{"60000000 0014 06 40" V6_ADDRESSES SYN "000000000000",
		"[2001:db8:66::10]:51234 > [2001:db8:20::5]:6379 6 length 60 syn"},
	/* A length that ends within TCP's header. */
	{"45000018 00000000 4006 0000" V4_ADDRESSES SYN, "10.66.0.10:51234 > 10.20.0.5:6379 6 length 24"},
	{"45000016 00000000 4006 0000" V4_ADDRESSES SYN, "10.66.0.10 > 10.20.0.5 6 length 22"},
	/* Longer than its own length can say (BIG TCP). */
	{"45000000 00000000 4006 0000" V4_ADDRESSES PUSH PING,
		"10.66.0.10:51234 > 10.20.0.5:6379 6 length 46 psh,ack \"PING\\r\\n\""},
	{"60000000 0000 06 40" V6_ADDRESSES PUSH PING,
		"[2001:db8:66::10]:51234 > [2001:db8:20::5]:6379 6 length 66 psh,ack \"PING\\r\\n\""},
	/* Only a part was kept: the length is told all the same. */
	{"450005dc 00000000 4006 0000" V4_ADDRESSES PUSH "5049",
		"10.66.0.10:51234 > 10.20.0.5:6379 6 length 1500 psh,ack \"PI\""},
	{"600fffff ffff 06 40" V6_ADDRESSES SYN "41",
		"[2001:db8:66::10]:51234 > [2001:db8:20::5]:6379 6 length 65575 syn \"A\""},
	/* Fragments. */
	{"45000028 0000 2000 4006 0000" V4_ADDRESSES SYN, "10.66.0.10:51234 > 10.20.0.5:6379 6 length 40 syn"},
	{"45000028 0000 2001 4006 0000" V4_ADDRESSES SYN, "10.66.0.10 > 10.20.0.5 6 length 40"},
	{"45000028 0000 0100 4006 0000" V4_ADDRESSES SYN, "10.66.0.10 > 10.20.0.5 6 length 40"},
	{"60000000 001c 2c 40" V6_ADDRESSES "0600 0001 00000000" SYN,
		"[2001:db8:66::10]:51234 > [2001:db8:20::5]:6379 6 length 68 syn"},
	{"60000000 001c 2c 40" V6_ADDRESSES "0600 0008 00000000" SYN, "2001:db8:66::10 > 2001:db8:20::5 6 length 68"},
	{"60000000 001c 2c 40" V6_ADDRESSES "0600 00", "2001:db8:66::10 > 2001:db8:20::5 44 length 68"},
	/* Extension headers: hop-by-hop, destination (two units), routing, authentication. */
	{"60000000 001c 00 40" V6_ADDRESSES "0600 0104 00000000" SYN,
		"[2001:db8:66::10]:51234 > [2001:db8:20::5]:6379 6 length 68 syn"},
	{"60000000 003c 00 40" V6_ADDRESSES
	 "3c00 0104 00000000 2b01 010c 000000000000000000000000 0600 0000 00000000 " SYN,
		"[2001:db8:66::10]:51234 > [2001:db8:20::5]:6379 6 length 100 syn"},
	{"60000000 0020 33 40" V6_ADDRESSES "0601 0000 00000001 00000001" SYN,
		"[2001:db8:66::10]:51234 > [2001:db8:20::5]:6379 6 length 72 syn"},
	{"60000000 001c 87 40" V6_ADDRESSES "0600 0000 00000000" SYN,
		"[2001:db8:66::10]:51234 > [2001:db8:20::5]:6379 6 length 68 syn"},
	/* One that is longer than the packet, one that is cut, and no next header. */
	{"60000000 001c 00 40" V6_ADDRESSES "06ff 0104 00000000" SYN, "2001:db8:66::10 > 2001:db8:20::5 0 length 68"},
	{"60000000 001c 33 40" V6_ADDRESSES "06ff 0104 00000000" SYN, "2001:db8:66::10 > 2001:db8:20::5 51 length 68"},
	{"60000000 001c 3c 40" V6_ADDRESSES "06", "2001:db8:66::10 > 2001:db8:20::5 60 length 68"},
	{"60000000 001c 33 40" V6_ADDRESSES "06", "2001:db8:66::10 > 2001:db8:20::5 51 length 68"},
	{"60000000 001c 3b 40" V6_ADDRESSES SYN, "2001:db8:66::10 > 2001:db8:20::5 59 length 68"},
	/* Nine are followed, more are nobody's good will. */
	{"60000000 005c 3c 40" V6_ADDRESSES
	 "3c00000000000000 3c00000000000000 3c00000000000000 3c00000000000000 3c00000000000000 3c00000000000000 "
	 "3c00000000000000 0600000000000000" SYN,
		"[2001:db8:66::10]:51234 > [2001:db8:20::5]:6379 6 length 132 syn"},
	{"60000000 006c 3c 40" V6_ADDRESSES
	 "3c00000000000000 3c00000000000000 3c00000000000000 3c00000000000000 3c00000000000000 3c00000000000000 "
	 "3c00000000000000 3c00000000000000 3c00000000000000 0600000000000000" SYN,
		"2001:db8:66::10 > 2001:db8:20::5 60 length 148"},
	/* A header of TCP that ends before it begins, and one that is longer than what is there. */
	{"4500002e 00000000 4006 0000" V4_ADDRESSES PORTS "00000001 00000002 4018 ffff 0000 0000" PING,
		"10.66.0.10:51234 > 10.20.0.5:6379 6 length 46 psh,ack"},
	{"4500002e 00000000 4006 0000" V4_ADDRESSES PORTS "00000001 00000002 f018 ffff 0000 0000" PING,
		"10.66.0.10:51234 > 10.20.0.5:6379 6 length 46 psh,ack"},
	/* No packets. */
	{"", "bad"},
	{"45", "bad"},
	{"00", "bad"},
	{"ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff", "bad"},
	{"44000028 00000000 4006 0000" V4_ADDRESSES SYN, "bad"},
	{"40000028 00000000 4006 0000" V4_ADDRESSES SYN, "bad"},
	{"46000014 00000000 4006 0000" V4_ADDRESSES SYN, "bad"},
	{"45000013 00000000 4006 0000" V4_ADDRESSES SYN, "bad"},
	{"45000028 00000000 4006 0000 0a42000a 0a1400", "bad"},
	{"60000000 0014 06 40 20010db8006600000000000000000010 20010db80020000000000000000000", "bad"},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t size;
		_cleanup_free_ uint8_t *bytes = from_hex(rows[i].hex, &size);
		_cleanup_free_ char *seen = describe(bytes, size);

		if (strcmp(seen, rows[i].seen) != 0)
			fail_msg("row %zu: %s", i, seen);
	}
}

/* What is cut off says nothing, and what is left says the same. */
static void test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t size;
		_cleanup_free_ uint8_t *bytes = from_hex(rows[i].hex, &size);
		struct packet whole;

		if (packet_parse(bytes, size, &whole) < 0)
			continue;
		for (size_t left = 0; left < size; left++) {
			_cleanup_free_ uint8_t *cut = mem_alloc(left ? left : 1);
			struct packet packet;

			memcpy(cut, bytes, left);
			if (packet_parse(cut, left, &packet) < 0) {
				assert_true(left < (whole.width == WIDTH_IPV4 ? 20 : 40));
				continue;
			}
			assert_int_equal(value_compare(packet.source, whole.source), 0);
			assert_int_equal(value_compare(packet.destination, whole.destination), 0);
			assert_true(packet.length == whole.length || packet.length == left);
			if (packet.has_ports)
				assert_true(packet.source_port == whole.source_port &&
					    packet.destination_port == whole.destination_port);
			if (packet.has_flags)
				assert_int_equal(packet.flags, whole.flags);
			assert_true(packet.payload_length <= whole.payload_length);
			assert_memory_equal(packet.payload, whole.payload, packet.payload_length);
		}
	}
}

/* Nobody's memory is touched where nothing could be read. */
static void test_untouched(void **state)
{
	struct packet packet = {.length = 77};

	(void)state;
	assert_int_equal(packet_parse("\x45", 1, &packet), -EBADMSG);
	assert_int_equal(packet_parse(NULL, 0, &packet), -EBADMSG);
	assert_int_equal(packet.length, 77);
}

static void test_random(void **state)
{
	uint64_t seed = 6379;

	(void)state;
	for (unsigned int i = 0; i < 200000; i++) {
		size_t size = testing_random(&seed) % 140;
		_cleanup_free_ uint8_t *bytes = mem_alloc(size + 1);
		static const uint8_t next[] = {0, 6, 17, 43, 44, 51, 59, 60, 135};
		struct packet packet;

		for (size_t k = 0; k < size; k++)
			bytes[k] = (uint8_t)testing_random(&seed);
		if (size) {
			bytes[0] = (uint8_t)(i % 2 ? 0x45 + testing_random(&seed) % 4 : 0x60);
			/* Headers that lead to others, and short ones. */
			for (size_t k = i % 2 ? size : 6; k < size; k += k < 40 ? 34 : 8) {
				bytes[k] = next[testing_random(&seed) % sizeof(next)];
				if (k + 1 < size && k >= 40)
					bytes[k + 1] %= 3;
			}
		}
		bytes = mem_resize(bytes, size ? size : 1, 1);
		if (packet_parse(bytes, size, &packet) == 0) {
			_cleanup_free_ char *text = describe(bytes, size);

			assert_true(packet.payload_length <= PACKET_PAYLOAD);
			for (const char *byte = text; *byte; byte++)
				assert_true(*byte >= 0x20 && *byte < 0x7f);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_untouched),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}
