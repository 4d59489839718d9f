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
	MOVQ s+0(FP), R15; \
	MOVQ strip_rowStride(R15), R8; SHLQ $2, R8; \
	MOVQ strip_colStride(R15), R9; SHLQ $2, R9; \
	MOVQ strip_b(R15), DX; \
	MOVQ strip_c(R15), DI; \
	MOVQ strip_ldc(R15), SI; SHLQ $2, SI; \
	MOVQ strip_panels(R15), R13; \
	LEAQ (R8)(R8*2), R10; \
	LEAQ (SI)(SI*2), R11

// func strip6(s *strip)
TEXT ·strip6(SB), NOSPLIT, $0-8
	LOAD

panel6:
	MOVQ strip_a(R15), AX
	LEAQ (AX)(R10*1), BX
	LEAQ (DI)(R11*1), R12
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
	MOVQ strip_k(R15), CX
	SUBQ $4, CX
	JLT  rest6

four6:
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
	VBROADCASTSS strip_alpha(R15), Y14
	VBROADCASTSS strip_beta(R15), Y15
	LEAQ         (DI)(SI*1), AX
	LEAQ         (DI)(SI*2), BX
	LEAQ         (R12)(SI*2), R14
	MOVL         strip_beta(R15), CX
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
	MOVQ strip_a(R15), AX
	LEAQ (AX)(R10*1), BX
	LEAQ (DI)(R11*1), R12
	PREFETCHC(DI)
	PREFETCHC(R12)
	LEAQ (DI)(SI*1), R14
	PREFETCHC(R14)
	ADDQ SI, R14
	PREFETCHC(R14)
	ZERO4
	MOVQ strip_k(R15), CX
	SUBQ $4, CX
	JLT  rest4

four4:
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
	VBROADCASTSS strip_alpha(R15), Y14
	VBROADCASTSS strip_beta(R15), Y15
	LEAQ         (DI)(SI*1), AX
	LEAQ         (DI)(SI*2), BX
	MOVL         strip_beta(R15), CX
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
