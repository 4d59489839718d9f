#include "go_asm.h"
#include "textflag.h"

// Both kernels hold a tile of C in registers, a row in two of them (Y0:Y1, Y2:Y3, ...), and add
// to it, for each p < k, the product of a column of A and a row of B. Six rows take the twelve
// accumulators that two fused multiply-adds a cycle of latency four need (eight would do), and
// leave four registers: Y12:Y13 for the row of B, Y14 and Y15 for values of A.
//
//	AX  A at (0, p)       R8  bytes from row to row of A      DX  packed B at p
//	BX  A at (3, p)       R9  bytes from column to column     CX  columns left
//	DI  C at row 0        SI  bytes from row to row of C      R13 panels left
//	R12 C at row 3        R10 where to prefetch               R11 the strip
//
// Meanwhile the next strip of A is prefetched, two of its rows during each panel.

#define ZERO4 \
	VXORPS Y0, Y0, Y0; VXORPS Y1, Y1, Y1; VXORPS Y2, Y2, Y2; VXORPS Y3, Y3, Y3; \
	VXORPS Y4, Y4, Y4; VXORPS Y5, Y5, Y5; VXORPS Y6, Y6, Y6; VXORPS Y7, Y7, Y7

#define ZERO6 ZERO4; \
	VXORPS Y8, Y8, Y8; VXORPS Y9, Y9, Y9; VXORPS Y10, Y10, Y10; VXORPS Y11, Y11, Y11

#define STEP4(offset) \
	VMOVUPS offset(DX), Y12; VMOVUPS (offset+32)(DX), Y13; \
	VBROADCASTSS (AX), Y14; VBROADCASTSS (AX)(R8*1), Y15; \
	VFMADD231PS Y12, Y14, Y0; VFMADD231PS Y13, Y14, Y1; \
	VFMADD231PS Y12, Y15, Y2; VFMADD231PS Y13, Y15, Y3; \
	VBROADCASTSS (AX)(R8*2), Y14; VBROADCASTSS (BX), Y15; \
	VFMADD231PS Y12, Y14, Y4; VFMADD231PS Y13, Y14, Y5; \
	VFMADD231PS Y12, Y15, Y6; VFMADD231PS Y13, Y15, Y7; \
	ADDQ R9, AX

#define STEP6(offset) STEP4(offset); \
	VBROADCASTSS (BX)(R8*1), Y14; VBROADCASTSS (BX)(R8*2), Y15; \
	VFMADD231PS Y12, Y14, Y8; VFMADD231PS Y13, Y14, Y9; \
	VFMADD231PS Y12, Y15, Y10; VFMADD231PS Y13, Y15, Y11; \
	ADDQ R9, BX

#define STEP4ONLY(offset) STEP4(offset); ADDQ R9, BX

// C = alpha*accumulators, or that + beta*C. Y14 is alpha, Y15 beta.
#define STORE(row, Ya, Yb) \
	VMULPS Y14, Ya, Ya; VMULPS Y14, Yb, Yb; \
	VMOVUPS Ya, (row); VMOVUPS Yb, 32(row)

#define UPDATE(row, Ya, Yb) \
	VMULPS Y14, Ya, Ya; VMULPS Y14, Yb, Yb; \
	VFMADD231PS (row), Y15, Ya; VFMADD231PS 32(row), Y15, Yb; \
	VMOVUPS Ya, (row); VMOVUPS Yb, 32(row)

#define PREFETCHC(row) PREFETCHT0 (row); PREFETCHT0 60(row)

#define LOAD \
	MOVQ s+0(FP), R11; \
	MOVQ strip_rowStride(R11), R8; SHLQ $2, R8; \
	MOVQ strip_colStride(R11), R9; SHLQ $2, R9; \
	MOVQ strip_b(R11), DX; \
	MOVQ strip_c(R11), DI; \
	MOVQ strip_ldc(R11), SI; SHLQ $2, SI; \
	MOVQ strip_panels(R11), R13; \
	MOVQ strip_next(R11), R15

#define NEXTPANEL \
	MOVQ strip_a(R11), AX; \
	LEAQ (R8)(R8*2), BX; ADDQ AX, BX; \
	LEAQ (SI)(SI*2), R12; ADDQ DI, R12; \
	MOVQ strip_panels(R11), CX; SUBQ R13, CX; \
	MOVQ AX, R10; \
	CMPQ CX, $3; CMOVQLT R15, R10; \
	LEAQ (R15)(R8*2), R15

#define PREFETCHA PREFETCHT0 (R10); PREFETCHT0 (R10)(R8*1); ADDQ $16, R10

// func strip6(s *strip)
TEXT ·strip6(SB), NOSPLIT, $0-8
	LOAD

panel6:
	NEXTPANEL
	PREFETCHC(DI)
	PREFETCHC(R12)
	LEAQ (DI)(SI*1), R14
	PREFETCHC(R14)
	ADDQ SI, R14
	PREFETCHC(R14)
	LEAQ (R12)(SI*1), R14
	PREFETCHC(R14)
	ADDQ SI, R14
	PREFETCHC(R14)
	ZERO6
	MOVQ strip_k(R11), CX
	SUBQ $4, CX
	JLT  rest6

four6:
	PREFETCHA
	STEP6(0)
	STEP6(64)
	STEP6(128)
	STEP6(192)
	ADDQ $256, DX
	SUBQ $4, CX
	JGE  four6

rest6:
	ADDQ $4, CX
	JZ   done6

one6:
	STEP6(0)
	ADDQ $64, DX
	DECQ CX
	JNZ  one6

done6:
	VBROADCASTSS strip_alpha(R11), Y14
	VBROADCASTSS strip_beta(R11), Y15
	LEAQ         (DI)(SI*1), AX
	LEAQ         (DI)(SI*2), BX
	LEAQ         (R12)(SI*2), R14
	MOVL         strip_beta(R11), CX
	SHLL         $1, CX
	JZ           store6
	UPDATE(DI, Y0, Y1)
	UPDATE(AX, Y2, Y3)
	UPDATE(BX, Y4, Y5)
	UPDATE(R12, Y6, Y7)
	ADDQ SI, R12
	UPDATE(R12, Y8, Y9)
	UPDATE(R14, Y10, Y11)
	JMP  next6

store6:
	STORE(DI, Y0, Y1)
	STORE(AX, Y2, Y3)
	STORE(BX, Y4, Y5)
	STORE(R12, Y6, Y7)
	ADDQ SI, R12
	STORE(R12, Y8, Y9)
	STORE(R14, Y10, Y11)

next6:
	ADDQ $64, DI
	DECQ R13
	JNZ  panel6
	VZEROUPPER
	RET

// func strip4(s *strip)
TEXT ·strip4(SB), NOSPLIT, $0-8
	LOAD

panel4:
	NEXTPANEL
	PREFETCHC(DI)
	PREFETCHC(R12)
	LEAQ (DI)(SI*1), R14
	PREFETCHC(R14)
	ADDQ SI, R14
	PREFETCHC(R14)
	ZERO4
	MOVQ strip_k(R11), CX
	SUBQ $4, CX
	JLT  rest4

four4:
	PREFETCHA
	STEP4ONLY(0)
	STEP4ONLY(64)
	STEP4ONLY(128)
	STEP4ONLY(192)
	ADDQ $256, DX
	SUBQ $4, CX
	JGE  four4

rest4:
	ADDQ $4, CX
	JZ   done4

one4:
	STEP4ONLY(0)
	ADDQ $64, DX
	DECQ CX
	JNZ  one4

done4:
	VBROADCASTSS strip_alpha(R11), Y14
	VBROADCASTSS strip_beta(R11), Y15
	LEAQ         (DI)(SI*1), AX
	LEAQ         (DI)(SI*2), BX
	MOVL         strip_beta(R11), CX
	SHLL         $1, CX
	JZ           store4
	UPDATE(DI, Y0, Y1)
	UPDATE(AX, Y2, Y3)
	UPDATE(BX, Y4, Y5)
	UPDATE(R12, Y6, Y7)
	JMP  next4

store4:
	STORE(DI, Y0, Y1)
	STORE(AX, Y2, Y3)
	STORE(BX, Y4, Y5)
	STORE(R12, Y6, Y7)

next4:
	ADDQ $64, DI
	DECQ R13
	JNZ  panel4
	VZEROUPPER
	RET

// A step of the transpose: from eight registers with a row of eight each to eight with a column.
#define TRANSPOSE8 \
	VUNPCKLPS Y1, Y0, Y8;  VUNPCKHPS Y1, Y0, Y9; \
	VUNPCKLPS Y3, Y2, Y10; VUNPCKHPS Y3, Y2, Y11; \
	VUNPCKLPS Y5, Y4, Y12; VUNPCKHPS Y5, Y4, Y13; \
	VUNPCKLPS Y7, Y6, Y14; VUNPCKHPS Y7, Y6, Y15; \
	VUNPCKLPD Y10, Y8, Y0;  VUNPCKHPD Y10, Y8, Y1; \
	VUNPCKLPD Y11, Y9, Y2;  VUNPCKHPD Y11, Y9, Y3; \
	VUNPCKLPD Y14, Y12, Y4; VUNPCKHPD Y14, Y12, Y5; \
	VUNPCKLPD Y15, Y13, Y6; VUNPCKHPD Y15, Y13, Y7; \
	VPERM2F128 $0x20, Y4, Y0, Y8;  VPERM2F128 $0x31, Y4, Y0, Y12; \
	VPERM2F128 $0x20, Y5, Y1, Y9;  VPERM2F128 $0x31, Y5, Y1, Y13; \
	VPERM2F128 $0x20, Y6, Y2, Y10; VPERM2F128 $0x31, Y6, Y2, Y14; \
	VPERM2F128 $0x20, Y7, Y3, Y11; VPERM2F128 $0x31, Y7, Y3, Y15

// func pack16(panels, rows int, dst *float32, stride int, src *float32, ld int)
//
// Copies rows x (16*panels) values, rows ld apart, to panels that lie stride apart, and prefetches
// as many rows after them.
TEXT ·pack16(SB), NOSPLIT, $0-48
	MOVQ panels+0(FP), CX
	MOVQ dst+16(FP), DI
	MOVQ stride+24(FP), R9
	MOVQ src+32(FP), AX
	MOVQ ld+40(FP), R8
	SHLQ $2, R8
	SHLQ $2, R9
	MOVQ rows+8(FP), R10
	IMULQ R8, R10

panel16:
	MOVQ rows+8(FP), DX
	MOVQ AX, SI
	MOVQ DI, BX

row16:
	VMOVUPS     (SI), Y0
	VMOVUPS     32(SI), Y1
	PREFETCHT0  (SI)(R10*1)
	ADDQ        R8, SI
	VMOVUPS     Y0, (BX)
	VMOVUPS     Y1, 32(BX)
	ADDQ        $64, BX
	DECQ        DX
	JNZ         row16
	ADDQ        $64, AX
	ADDQ        R9, DI
	DECQ        CX
	JNZ         panel16
	VZEROUPPER
	RET

// func pack6(strips, cols int, dst *float32, stride int, src *float32, ld int)
//
// Copies cols x (6*strips) values, ld apart, to strips that lie stride apart, and prefetches as
// many after them.
TEXT ·pack6(SB), NOSPLIT, $0-48
	MOVQ strips+0(FP), CX
	MOVQ dst+16(FP), DI
	MOVQ stride+24(FP), R9
	MOVQ src+32(FP), AX
	MOVQ ld+40(FP), R8
	SHLQ $2, R8
	SHLQ $2, R9
	MOVQ cols+8(FP), R10
	IMULQ R8, R10

strip24:
	MOVQ cols+8(FP), DX
	MOVQ AX, SI
	MOVQ DI, BX

col24:
	MOVUPS     (SI), X0
	MOVQ       16(SI), R11
	PREFETCHT0 (SI)(R10*1)
	ADDQ       R8, SI
	MOVUPS     X0, (BX)
	MOVQ       R11, 16(BX)
	ADDQ       $24, BX
	DECQ       DX
	JNZ        col24
	ADDQ       $24, AX
	ADDQ       R9, DI
	DECQ       CX
	JNZ        strip24
	RET

// func transpose8(blocks int, dst *float32, src *float32, ld int)
//
// Copies 8 rows of 8*blocks values, ld apart, to the 8 left columns of a panel of 16.
TEXT ·transpose8(SB), NOSPLIT, $0-32
	MOVQ blocks+0(FP), CX
	MOVQ dst+8(FP), DI
	MOVQ src+16(FP), AX
	MOVQ ld+24(FP), R8
	SHLQ $2, R8
	LEAQ (R8)(R8*2), R10
	LEAQ (AX)(R8*4), BX

block8:
	VMOVUPS (AX), Y0
	VMOVUPS (AX)(R8*1), Y1
	VMOVUPS (AX)(R8*2), Y2
	VMOVUPS (AX)(R10*1), Y3
	VMOVUPS (BX), Y4
	VMOVUPS (BX)(R8*1), Y5
	VMOVUPS (BX)(R8*2), Y6
	VMOVUPS (BX)(R10*1), Y7
	TRANSPOSE8
	VMOVUPS Y8, (DI)
	VMOVUPS Y9, 64(DI)
	VMOVUPS Y10, 128(DI)
	VMOVUPS Y11, 192(DI)
	VMOVUPS Y12, 256(DI)
	VMOVUPS Y13, 320(DI)
	VMOVUPS Y14, 384(DI)
	VMOVUPS Y15, 448(DI)
	ADDQ    $32, AX
	ADDQ    $32, BX
	ADDQ    $512, DI
	DECQ    CX
	JNZ     block8
	VZEROUPPER
	RET
