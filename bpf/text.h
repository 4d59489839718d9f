/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Finding a text in what a peer sends, segment by segment. User space makes
 * an automaton of the text (Knuth, Morris and Pratt); a conversation keeps
 * nothing but its state, so that no byte is stored. */
#ifndef PACGAN_TEXT_H
#define PACGAN_TEXT_H

#include "expect.h"

#define TEXT_FOUND 255 /* the state after the text's last byte */
#define TEXT_CHUNK 64  /* bytes read at a time */
#define TEXT_READS (0x10000 / TEXT_CHUNK + TEXT_CHUNK)

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

/* step moves on over one byte. Linux 6.1 knows no bound of an OR. */
static __always_inline __u32 step(const struct automaton *a, __u32 state, __u8 byte)
{
	__u32 at = (state & 255) << 8 | byte;

	asm volatile("" : "+r"(at));
	return a->next[at & 0xffff];
}

/* search_chunk reads a whole chunk, or near the end one byte: with a length
 * that is known at run time only, Linux 6.1 cannot bound the loop. */
static long search_chunk(__u32 index, struct search *s)
{
	__u32 i, n = 1, state = s->state;
	__u8 bytes[TEXT_CHUNK];

	if (s->left == 0)
		return 1;
	if (s->left < TEXT_CHUNK) {
		if (bpf_skb_load_bytes(s->skb, s->off, bytes, 1))
			return 1;
		state = step(s->automaton, state, bytes[0]);
	} else {
		n = TEXT_CHUNK;
		if (bpf_skb_load_bytes(s->skb, s->off, bytes, TEXT_CHUNK))
			return 1;
		for (i = 0; i < TEXT_CHUNK && state != TEXT_FOUND; i++)
			state = step(s->automaton, state, bytes[i]);
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
	bpf_loop(TEXT_READS, search_chunk, &s, 0);
	v->text = s.state;
	return s.state == TEXT_FOUND;
}

#endif
