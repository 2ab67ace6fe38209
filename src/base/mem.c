/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base.h"

static _Noreturn void out_of_memory(void)
{
	static const char message[] = "dflyguard: out of memory; the kernel's firewall is as it was\n";

	/* The one place below cmd that may speak: nothing that could carry an error upwards can be allocated. */
	ssize_t written = write(STDERR_FILENO, message, sizeof(message) - 1);

	(void)written;
	_exit(2);
}

void *mem_alloc(size_t size)
{
	void *pointer = malloc(size ? size : 1);

	if (!pointer)
		out_of_memory();
	return pointer;
}

void *mem_zero(size_t count, size_t size)
{
	void *pointer = calloc(count ? count : 1, size ? size : 1);

	if (!pointer)
		out_of_memory();
	return pointer;
}

void *mem_resize(void *pointer, size_t count, size_t size)
{
	if (count == 0 || size == 0)
		count = size = 1;
	pointer = reallocarray(pointer, count, size);
	if (!pointer)
		out_of_memory();
	return pointer;
}

char *mem_string(const char *text)
{
	return text ? mem_stringn(text, strlen(text)) : NULL;
}

char *mem_stringn(const char *text, size_t length)
{
	char *copy = mem_alloc(length + 1);

	memcpy(copy, text, length);
	copy[length] = '\0';
	return copy;
}

char *mem_format(const char *format, ...)
{
	va_list arguments;
	char *result;
	int length;

	va_start(arguments, format);
	length = vasprintf(&result, format, arguments);
	va_end(arguments);
	if (length < 0)
		out_of_memory();
	return result;
}

bool same_string(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void text_reserve(struct text *text, size_t more)
{
	size_t need = text->length + more + 1;

	if (need <= text->capacity)
		return;
	text->capacity = text->capacity * 2 > need ? text->capacity * 2 : need + 64;
	text->data = mem_resize(text->data, text->capacity, 1);
}

void text_append(struct text *text, const char *string)
{
	size_t length = strlen(string);

	text_reserve(text, length);
	memcpy(text->data + text->length, string, length + 1);
	text->length += length;
}

void text_append_char(struct text *text, char character)
{
	text_reserve(text, 1);
	text->data[text->length++] = character;
	text->data[text->length] = '\0';
}

void text_printf(struct text *text, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	text_reserve(text, (size_t)length);
	va_start(arguments, format);
	vsnprintf(text->data + text->length, (size_t)length + 1, format, arguments);
	va_end(arguments);
	text->length += (size_t)length;
}

void text_done(struct text *text)
{
	free(text->data);
	*text = (struct text){0};
}

const char *text_string(const struct text *text)
{
	return text->data ? text->data : "";
}

char *text_take(struct text *text)
{
	char *data = text->data ? text->data : mem_string("");

	*text = (struct text){0};
	return data;
}

size_t utf8_length(const char *string)
{
	const unsigned char *byte = (const unsigned char *)string;
	size_t length = byte[0] < 0x80 ? 1 : byte[0] >= 0xf0 ? 4 : byte[0] >= 0xe0 ? 3 : 2;

	if (length == 1)
		return 1;
	if (byte[0] < 0xc2 || byte[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
	if ((byte[0] == 0xe0 && byte[1] < 0xa0) || (byte[0] == 0xed && byte[1] > 0x9f) ||
		(byte[0] == 0xf0 && byte[1] < 0x90) || (byte[0] == 0xf4 && byte[1] > 0x8f))
		return 0;
	return length;
}

void free_pointer(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}

void close_descriptor(const int *descriptor)
{
	if (*descriptor >= 0)
		close(*descriptor);
}

void close_stream(FILE **stream)
{
	if (*stream)
		fclose(*stream);
}

const char *format_count(char *buffer, uint64_t number)
{
	char digits[24];
	int length = snprintf(digits, sizeof(digits), "%" PRIu64, number);
	char *out = buffer;

	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			*out++ = ',';
		*out++ = digits[i];
	}
	*out = '\0';
	return buffer;
}

const char *format_bytes(char *buffer, uint64_t bytes)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 999.95 && unit + 1 < ARRAY_SIZE(units)) {
		value /= 1000;
		unit++;
	}
	if (unit == 0)
		snprintf(buffer, 32, "%" PRIu64 " B", bytes);
	else
		snprintf(buffer, 32, "%.1f %s", value, units[unit]);
	return buffer;
}
