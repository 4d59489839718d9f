/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* mark.h: how our programs tell packets of ours from others. */
#ifndef PACGAN_MARK_H
#define PACGAN_MARK_H

/* skb->mark of every packet that the guard let out: "pacg". */
#define PACGAN_MARK 0x70616367

/* ... and of one that it refused at the near end. */
#define REFUSED_MARK 0x70616e6f

#endif
