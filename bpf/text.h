/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Finding a text in what a peer sends, segment by segment. User space makes
 * an automaton of the text (Knuth, Morris and Pratt); a conversation keeps
 * nothing but its state, so that no byte is stored. */
#ifndef PACGAN_TEXT_H
#define PACGAN_TEXT_H

#include "expect.h"

#define TEXT_FOUND 255 /* the state after the text's last byte */
#define TEXT_CHUNK 64  /* bytes read at a time; a power of two */
#define TEXT_CHUNKS (0x10000 / TEXT_CHUNK)

struct automaton {
	__u8 next[256 * 256]; /* of state and byte: state * 256 + byte */
};

struct automaton_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct automaton);
} text_none SEC(".maps");

/* By label; those without a text have none. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, MAX_LABELS);
	__type(key, __u32);
	__array(values, struct automaton_map);
} texts SEC(".maps");

struct search {
	struct __sk_buff *skb;
	const struct automaton *automaton;
	__u32 off;
	__u32 left;
	__u32 state;
};

static long search_chunk(__u32 index, struct search *s)
{
	__u32 i, n = s->left, state = s->state;
	__u8 bytes[TEXT_CHUNK];

	if (n == 0)
		return 1;
	if (n > TEXT_CHUNK)
		n = TEXT_CHUNK;
	asm volatile("" : "+r"(n));
	n = ((n - 1) & (TEXT_CHUNK - 1)) + 1; /* see segment.h */
	if (bpf_skb_load_bytes(s->skb, s->off, bytes, n))
		return 1;
	for (i = 0; i < TEXT_CHUNK; i++) {
		if (i >= n)
			break;
		state = s->automaton->next[((state & 255) << 8) | bytes[i]];
		if (state == TEXT_FOUND)
			break;
	}
	s->state = state;
	s->off += n;
	s->left -= n;
	return state == TEXT_FOUND;
}

/* find_text moves the expectation's state on over n bytes at offset off; it
 * reports whether the text ends in them. */
static __always_inline int find_text(struct __sk_buff *skb, struct expectation *v, __u32 off, __u32 n)
{
	__u32 label = v->label, only = 0;
	void *map = bpf_map_lookup_elem(&texts, &label);
	struct search s = {.skb = skb, .off = off, .left = n, .state = v->text};

	if (!map)
		return 0;
	s.automaton = bpf_map_lookup_elem(map, &only);
	if (!s.automaton)
		return 0;
	bpf_loop(TEXT_CHUNKS, search_chunk, &s, 0);
	v->text = s.state;
	return s.state == TEXT_FOUND;
}

#endif
