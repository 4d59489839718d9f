/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What a valid response is: the rules of DESIGN.md, applied to the bytes that
 * came back. Nothing here counts or changes a count. */
#ifndef PACGAN_RESPONSE_H
#define PACGAN_RESPONSE_H

#include "framing.h"
#include "request.h"
#include "verdict.h"

#define STATUS_LINE 12   /* "HTTP/1.1 200" */
#define TCP_SPAN 0x10000 /* no conversation of ours sends more bytes */
#define READERS 1024

/* dns_reason judges a response by its header (RFC 1035, 4.1.1). */
static __always_inline __u32 dns_reason(const struct rule *rule, const struct dns_header *h)
{
	__u32 rcode = h->rcode & 15;

	if (!(rule->rcodes & (1 << rcode)))
		return REASON_RCODE + rcode;
	if (rcode || h->answers)
		return REASON_ANSWERED;
	return h->flags & DNS_TC ? REASON_TRUNCATED : REASON_RCODE;
}

/* http_reason judges a response by its status line (RFC 9112, 4), of which it
 * wants the first bytes in one segment. */
static __always_inline __u32 http_reason(struct __sk_buff *skb, const struct rule *rule, __u32 off, __u32 length, int fin,
					 __u32 *code)
{
	__u8 line[STATUS_LINE];
	__u32 status;

	if (bpf_skb_load_bytes(skb, off, line, 1) || line[0] != 'H')
		return REASON_NOT_HTTP;
	if (length < STATUS_LINE)
		return fin ? REASON_NOT_HTTP : REASON_UNREAD;
	if (bpf_skb_load_bytes(skb, off, line, sizeof(line)))
		return REASON_NOT_HTTP;
	if (line[0] != 'H' || line[1] != 'T' || line[2] != 'T' || line[3] != 'P' || line[4] != '/' ||
	    line[5] != '1' || line[6] != '.' || line[8] != ' ')
		return REASON_NOT_HTTP;
	if (line[9] < '1' || line[9] > '5' || line[10] < '0' || line[10] > '9' || line[11] < '0' || line[11] > '9')
		return REASON_NOT_HTTP;
	status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0') - 100;
	*code = status + 100;
	if (status < 100)
		return REASON_PENDING; /* an interim response: the final one follows */
	if (rule->statuses[(status >> 6) & 7] & (1ULL << (status & 63)))
		return REASON_ANSWERED;
	return REASON_HTTP + status;
}

/* tcp_dns_reason judges a DNS response behind its two-byte length (RFC 1035, 4.2.2). */
static __always_inline __u32 tcp_dns_reason(struct __sk_buff *skb, const struct rule *rule, __u32 off, __u32 length,
					    int fin)
{
	struct dns_header h;

	if (length < 2 + DNS_HEADER)
		return fin ? REASON_MALFORMED : REASON_UNREAD;
	if (bpf_skb_load_bytes(skb, off + 2, &h, sizeof(h)) || !(h.flags & DNS_QR))
		return REASON_MALFORMED;
	return dns_reason(rule, &h);
}

/* A TCP segment, in host order. */
struct peer {
	__u32 seq;
	__u32 ack;
	__u32 data;   /* offset of the payload */
	__u32 length; /* of the payload */
	__u8 flags;
};

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define ACK 0x10

/* belongs tells our conversation's segments from those of another one with
 * the same addresses and ports: they acknowledge what we sent. A reset without
 * ACK must hit the sequence number that we told the peer (RFC 9293, 3.10.7.4). */
static __always_inline int belongs(const struct expectation *v, const struct peer *s)
{
	if (s->flags & ACK)
		return s->ack - v->iss <= TCP_SPAN;
	return s->flags & RST && s->seq == v->next;
}

/* text_reason looks for the text that the rest of a response must hold. A
 * repeated segment may overlap what has been read. */
static __always_inline __u32 text_reason(struct __sk_buff *skb, struct expectation *v, const struct peer *s)
{
	__u32 known = v->next - s->seq; /* bytes of the segment that have been read */
	struct follow f = {.skb = skb, .off = s->data + known, .bytes = s->length - known, .left = v->left, .state = v->framing};

	if (known > s->length)
		return REASON_PENDING; /* all of them, or what comes before is missing */
	v->next += f.bytes;
	if (f.bytes && find_text(skb, v, f.off, f.bytes))
		return REASON_ANSWERED;
	follow(&f);
	v->framing = f.state;
	v->left = f.left;
	if (f.state == FRAMING_DONE)
		return REASON_NO_TEXT;
	if (!(s->flags & FIN))
		return REASON_PENDING;
	return f.state == FRAMING_OPEN ? REASON_NO_TEXT : REASON_TRUNCATED;
}

/* behind_interim is how many bytes of a segment an interim response takes up
 * (RFC 9110, 15.2); 0: it goes on in the next one. */
static __always_inline __u32 behind_interim(struct __sk_buff *skb, const struct peer *s)
{
	struct follow f = {.skb = skb, .off = s->data, .bytes = s->length, .state = FRAMING_BODILESS};

	follow(&f);
	return f.state == FRAMING_DONE ? s->length - f.bytes : 0;
}

/* http_response judges what comes of a response: by its status, then by its text. */
static __always_inline __u32 http_response(struct __sk_buff *skb, const struct rule *rule, struct expectation *v,
					   const struct peer *s)
{
	__u32 reason, interim, status = 0;
	int fin = s->flags & FIN;

	if (v->flags & FLAG_READING)
		return text_reason(skb, v, s);
	if (s->seq != v->next) /* another CPU has had the same bytes meanwhile */
		return REASON_PENDING;
	reason = http_reason(skb, rule, s->data, s->length, fin, &status);
	if (reason == REASON_PENDING) {
		interim = behind_interim(skb, s);
		if (!interim || interim > s->length)
			return REASON_UNREAD;
		v->next += interim;
		if (interim == s->length)
			return REASON_PENDING;
		reason = http_reason(skb, rule, s->data + interim, s->length - interim, fin, &status);
	}
	if (reason != REASON_ANSWERED || !rule->text)
		return reason;
	v->flags |= FLAG_READING;
	v->framing = status == 204 || status == 304 ? FRAMING_BODILESS : FRAMING_HEAD;
	return text_reason(skb, v, s);
}

/* Whether a CPU is at the response of a conversation with these last bits of its id. */
volatile __u32 reading[READERS];

/* http_in_turn keeps two CPUs from one response: the state of each would go
 * by the other's bytes. Who comes second finds the segment lost. */
static __always_inline __u32 http_in_turn(struct __sk_buff *skb, const struct rule *rule, struct expectation *v,
					  const struct peer *s)
{
	volatile __u32 *busy = &reading[v->id & (READERS - 1)];
	__u32 reason;

	if (!v->state) /* it has had its verdict */
		return REASON_PENDING;
	if (__sync_lock_test_and_set(busy, 1))
		return REASON_UNREAD;
	reason = http_response(skb, rule, v, s);
	__sync_lock_test_and_set(busy, 0);
	return reason;
}

/* conversation_reason judges the peer's segment; it learns the peer's first
 * sequence number from its SYN, so that only what begins the response can be
 * taken for it. A SYN that comes again, late, changes nothing. What is lost or
 * out of order waits for the peer to repeat it: where that does not come in
 * time, the packet is expired, never rejected. */
static __always_inline __u32 conversation_reason(struct __sk_buff *skb, const struct rule *rule, struct expectation *v,
						 const struct peer *s)
{
	if (s->flags & RST)
		return REASON_RST;
	if (s->flags & SYN) {
		if (!(v->flags & FLAG_SENT))
			v->next = s->seq + 1;
		v->flags |= FLAG_SYNACKED;
		return REASON_PENDING;
	}
	if (!(v->flags & FLAG_READING)) {
		if (!(v->flags & FLAG_SENT) || s->seq != v->next)
			return REASON_PENDING;
		if (s->length == 0)
			return s->flags & FIN ? REASON_CLOSED : REASON_PENDING;
		if (rule->answer == ANSWER_REPLY)
			return REASON_ANSWERED;
		if (rule->answer == ANSWER_DNS)
			return tcp_dns_reason(skb, rule, s->data, s->length, s->flags & FIN);
		if (rule->answer != ANSWER_HTTP)
			return REASON_UNEXPECTED;
	}
	return http_in_turn(skb, rule, v, s);
}

/* single_reason judges the reply to a segment that was sent without a
 * conversation, as it was generated. */
static __always_inline __u32 single_reason(const struct rule *rule, const struct peer *s)
{
	if (s->flags & RST)
		return REASON_RST;
	return rule->answer == ANSWER_REPLY ? REASON_ANSWERED : REASON_PENDING;
}

#endif
