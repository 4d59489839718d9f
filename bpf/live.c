/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* live: turns frames that user space has written into memory that we share into
 * packets that come in at inj1, where the guard meets them.
 *
 * User space runs it (BPF_PROG_TEST_RUN, BPF_F_TEST_XDP_LIVE_FRAMES), once for
 * each frame: the kernel hands us a frame of its own each time, the same ones
 * again and again, with whatever they held last. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual BSD/GPL";

/* How long the kernel's frames are before we cut them: as much as a slot holds,
 * since to lengthen a frame would cost clearing what is added. */
#define ROOM 2044
#define SLOTS 2048 /* frames that one run can send */

/* Set by user space before loading: inj1. */
volatile const __u32 far_ifindex = 0;

struct slot {
	__u32 length;
	__u8 frame[ROOM];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLOTS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct slot);
} slots SEC(".maps");

/* Which slots a run is to send. A run has one CPU at a time. */
struct cursor {
	__u32 next; /* counts what has been sent: user space reads it afterwards */
	__u32 end;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct cursor);
} cursors SEC(".maps");

SEC("xdp")
int live(struct xdp_md *xdp)
{
	__u32 zero = 0, at, length;
	struct cursor *cursor;
	struct slot *slot;

	/* We are attached to inj0, too, to be kept ready: what comes in there is
	 * none of ours. */
	if (xdp->ingress_ifindex != far_ifindex)
		return XDP_PASS;
	cursor = bpf_map_lookup_elem(&cursors, &zero);
	if (!cursor || cursor->next >= cursor->end)
		return XDP_DROP;
	at = cursor->next;
	slot = bpf_map_lookup_elem(&slots, &at);
	if (!slot)
		return XDP_DROP;
	length = slot->length;
	if (length < ETH_HLEN || length > ROOM)
		return XDP_DROP;
	if (bpf_xdp_adjust_tail(xdp, (int)length - ROOM) || bpf_xdp_store_bytes(xdp, 0, slot->frame, length))
		return XDP_DROP;
	cursor->next = at + 1;
	return XDP_PASS;
}
