/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the matcher tells user space about the peer's side of a conversation. */
#ifndef PACGAN_SEGMENT_H
#define PACGAN_SEGMENT_H

#include "verdict.h"

#define TCP_OPTIONS 40      /* what a header has room for */
#define TCP_OPTIONS_ROOM 64 /* what a verifier is content with: see tell */

/* One TCP segment of the peer. */
struct segment {
	__u32 id; /* expectation.id */
	__u32 seq;
	__u32 ack;
	enum reason verdict; /* that fell with this segment, or REASON_PENDING */
	__u16 length;        /* of the payload, in bytes */
	__u8 flags;          /* as in the TCP header; 0: an ICMP error */
	__u8 label;
	__u8 option_length;
	__u8 options[TCP_OPTIONS_ROOM]; /* the first option_length are written */
	__u8 pad[3];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22);
	__type(value, struct segment); /* for bpf2go -type; the map itself has none */
} segments SEC(".maps");

#endif
