/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Where an HTTP/1 response ends (RFC 9112, 6.3), followed segment by segment:
 * only of a whole response can be said that something is not in it. User space
 * makes the table that reads heads and chunk sizes; a conversation keeps the
 * state and how many bytes are left. */
#ifndef PACGAN_FRAMING_H
#define PACGAN_FRAMING_H

#include "text.h"

enum framing {
	FRAMING_HEAD,     /* before the status line */
	FRAMING_BODILESS, /* the same, of a response that has no body whatever its head says */
	FRAMING_DONE,     /* the response has ended */
	FRAMING_OPEN,     /* it ends where the peer closes, or nobody knows where */
	FRAMING_BODY,     /* `left` bytes follow, then it ends */
	FRAMING_DIGIT,    /* behind a digit of Content-Length */
	FRAMING_SIZE,     /* before a chunk's size */
	FRAMING_HEX,      /* behind a digit of it */
	FRAMING_CHUNK,    /* `left` bytes of a chunk follow */
	FRAMING_CHUNKED,  /* behind a chunk */
	FRAMING_TRAILER,  /* behind the last chunk's size, which is 0 */
	FRAMING_OTHER,    /* from here on: states of the table alone */
};

#define FRAMING_MOST (1U << 27) /* bytes of a body or chunk; more is left open */
#define FRAMING_TURNS (2 * 0x10000)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct automaton);
} framings SEC(".maps");

struct follow {
	struct __sk_buff *skb;
	const struct automaton *table;
	__u32 off;
	__u32 bytes; /* of the segment, that have not been followed */
	__u32 left;  /* as expectation.left */
	enum framing state;
};

/* framing_digit takes a digit of a length into account. */
static __always_inline void framing_digit(struct follow *f, __u8 byte)
{
	if (f->state == FRAMING_DIGIT)
		f->left = f->left * 10 + (byte & 15);
	else
		f->left = f->left * 16 + (byte & 64 ? (byte & 7) + 9 : byte & 15);
	if (f->left >= FRAMING_MOST)
		f->state = FRAMING_OPEN;
}

/* framing_turn passes over what is left of a body at once, over all else byte
 * by byte. */
static long framing_turn(__u32 index, struct follow *f)
{
	__u32 n = f->left;
	__u8 byte;

	if (!f->bytes || f->state == FRAMING_DONE || f->state == FRAMING_OPEN)
		return 1;
	if (f->state == FRAMING_BODY || f->state == FRAMING_CHUNK) {
		if (n > f->bytes)
			n = f->bytes;
		f->off += n;
		f->bytes -= n;
		f->left -= n;
		if (!f->left)
			f->state = f->state == FRAMING_BODY ? FRAMING_DONE : FRAMING_CHUNKED;
		return 0;
	}
	if (bpf_skb_load_bytes(f->skb, f->off, &byte, 1))
		return 1;
	f->off++;
	f->bytes--;
	f->state = step(f->table, f->state, byte);
	if (f->state == FRAMING_DIGIT || f->state == FRAMING_HEX)
		framing_digit(f, byte);
	else if (f->state == FRAMING_SIZE)
		f->left = 0; /* Transfer-Encoding overrides Content-Length */
	else if (f->state == FRAMING_BODY && !f->left)
		f->state = FRAMING_DONE;
	else if (f->state == FRAMING_CHUNK && !f->left)
		f->state = FRAMING_TRAILER;
	return 0;
}

/* follow moves on over the bytes that f tells of. */
static __always_inline void follow(struct follow *f)
{
	__u32 only = 0;

	f->table = bpf_map_lookup_elem(&framings, &only);
	if (f->table)
		bpf_loop(FRAMING_TURNS, framing_turn, f, 0);
}

#endif
