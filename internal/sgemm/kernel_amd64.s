#include "go_asm.h"
#include "textflag.h"

// Both kernels hold a tile of C in registers, a row in two of them (Y0:Y1, Y2:Y3, ...), and add
// to it, for each p < k, the product of a column of A and a row of B. Six rows take the twelve
// accumulators that two fused multiply-adds a cycle of latency four need (eight would do), and
// leave four registers: Y12:Y13 for the row of B, Y14 and Y15 for values of A.
//
//	AX  A at (0, p)       R8  bytes from row to row of A      R11 the strip
//	BX  A at (3, p)       R9  bytes from column to column     R13 panels left
//	DX  B at row p        R14 bytes from row to row of B      CX  columns left
//	DI  C at row 0        SI  bytes from row to row of C
//
// Meanwhile they prefetch the region s.ahead, a line for every four columns:
//
//	R12 where it begins   R10 offset of the next line         R15 offset where its row ends

#define ZERO4 \
	VXORPS Y0, Y0, Y0; VXORPS Y1, Y1, Y1; VXORPS Y2, Y2, Y2; VXORPS Y3, Y3, Y3; \
	VXORPS Y4, Y4, Y4; VXORPS Y5, Y5, Y5; VXORPS Y6, Y6, Y6; VXORPS Y7, Y7, Y7

#define ZERO6 ZERO4; \
	VXORPS Y8, Y8, Y8; VXORPS Y9, Y9, Y9; VXORPS Y10, Y10, Y10; VXORPS Y11, Y11, Y11

#define STEP4 \
	VMOVUPS (DX), Y12; VMOVUPS 32(DX), Y13; ADDQ R14, DX; \
	VBROADCASTSS (AX), Y14; VBROADCASTSS (AX)(R8*1), Y15; \
	VFMADD231PS Y12, Y14, Y0; VFMADD231PS Y13, Y14, Y1; \
	VFMADD231PS Y12, Y15, Y2; VFMADD231PS Y13, Y15, Y3; \
	VBROADCASTSS (AX)(R8*2), Y14; VBROADCASTSS (BX), Y15; ADDQ R9, AX; \
	VFMADD231PS Y12, Y14, Y4; VFMADD231PS Y13, Y14, Y5; \
	VFMADD231PS Y12, Y15, Y6; VFMADD231PS Y13, Y15, Y7

#define STEP6 STEP4; \
	VBROADCASTSS (BX)(R8*1), Y14; VBROADCASTSS (BX)(R8*2), Y15; ADDQ R9, BX; \
	VFMADD231PS Y12, Y14, Y8; VFMADD231PS Y13, Y14, Y9; \
	VFMADD231PS Y12, Y15, Y10; VFMADD231PS Y13, Y15, Y11

// Rows 3, 4 and 5 of C are at (R14), (R14)(SI*1) and (R14)(SI*2).
#define ROW3 LEAQ (SI)(SI*2), R14; ADDQ DI, R14

// A row of a tile may lie in two lines.
#define PREFETCHC(row) PREFETCHT0 0 row; PREFETCHT0 60 row

// C = alpha*accumulators, and that + beta*C. Y14 is alpha, Y15 beta.
#define STORE(row, Ya, Yb) \
	VMULPS Y14, Ya, Ya; VMULPS Y14, Yb, Yb; \
	VMOVUPS Ya, 0 row; VMOVUPS Yb, 32 row

#define UPDATE(row, Ya, Yb) \
	VMULPS Y14, Ya, Ya; VMULPS Y14, Yb, Yb; \
	VFMADD231PS 0 row, Y15, Ya; VFMADD231PS 32 row, Y15, Yb; \
	VMOVUPS Ya, 0 row; VMOVUPS Yb, 32 row

#define LOAD \
	MOVQ s+0(FP), R11; \
	MOVQ strip_rowA(R11), R8; SHLQ $2, R8; \
	MOVQ strip_colA(R11), R9; SHLQ $2, R9; \
	MOVQ strip_b(R11), DX; \
	MOVQ strip_c(R11), DI; \
	MOVQ strip_ldc(R11), SI; SHLQ $2, SI; \
	MOVQ strip_panels(R11), R13; \
	MOVQ (strip_ahead+region_from)(R11), R12; \
	MOVQ (strip_ahead+region_next)(R11), R10; \
	MOVQ (strip_ahead+region_rowEnd)(R11), R15

// The panel's A and B, once ROW3 is no longer needed.
#define PANEL \
	MOVQ strip_a(R11), AX; \
	LEAQ (AX)(R8*2), BX; ADDQ R8, BX; \
	MOVQ strip_rowB(R11), R14; SHLQ $2, R14; \
	MOVQ strip_k(R11), CX

#define NEXTPANEL \
	MOVQ strip_skipB(R11), CX; LEAQ (DX)(CX*4), DX; \
	ADDQ $64, DI

#define AHEAD PREFETCHT0 (R12)(R10*1); ADDQ $64, R10; CMPQ R10, R15

// The region's next row; after its last, its first line over and over.
#define AHEADROW(some, back) \
	MOVQ R15, R10; \
	ADDQ (strip_ahead+region_gap)(R11), R10; \
	ADDQ (strip_ahead+region_stride)(R11), R15; \
	DECQ (strip_ahead+region_rows)(R11); \
	JGT  some; \
	XORQ R10, R10; \
	MOVQ $64, R15; \
some: \
	JMP  back

#define SAVE \
	MOVQ R10, (strip_ahead+region_next)(R11); \
	MOVQ R15, (strip_ahead+region_rowEnd)(R11); \
	VZEROUPPER

// func strip6(s *strip)
TEXT ·strip6(SB), NOSPLIT, $0-8
	LOAD

panel6:
	ROW3
	PREFETCHC((DI))
	PREFETCHC((DI)(SI*1))
	PREFETCHC((DI)(SI*2))
	PREFETCHC((R14))
	PREFETCHC((R14)(SI*1))
	PREFETCHC((R14)(SI*2))
	PANEL
	ZERO6
	SUBQ $4, CX
	JLT  rest6

four6:
	AHEAD
	JGE  row6

again6:
	STEP6
	STEP6
	STEP6
	STEP6
	SUBQ $4, CX
	JGE  four6

rest6:
	ADDQ $4, CX
	JZ   done6

one6:
	STEP6
	DECQ CX
	JNZ  one6

done6:
	VBROADCASTSS strip_alpha(R11), Y14
	VBROADCASTSS strip_beta(R11), Y15
	ROW3
	MOVL strip_beta(R11), CX
	SHLL $1, CX
	JZ   store6
	UPDATE((DI), Y0, Y1)
	UPDATE((DI)(SI*1), Y2, Y3)
	UPDATE((DI)(SI*2), Y4, Y5)
	UPDATE((R14), Y6, Y7)
	UPDATE((R14)(SI*1), Y8, Y9)
	UPDATE((R14)(SI*2), Y10, Y11)
	JMP next6

store6:
	STORE((DI), Y0, Y1)
	STORE((DI)(SI*1), Y2, Y3)
	STORE((DI)(SI*2), Y4, Y5)
	STORE((R14), Y6, Y7)
	STORE((R14)(SI*1), Y8, Y9)
	STORE((R14)(SI*2), Y10, Y11)

next6:
	NEXTPANEL
	DECQ R13
	JNZ  panel6
	SAVE
	RET

row6:
	AHEADROW(some6, again6)

// func strip4(s *strip)
TEXT ·strip4(SB), NOSPLIT, $0-8
	LOAD

panel4:
	ROW3
	PREFETCHC((DI))
	PREFETCHC((DI)(SI*1))
	PREFETCHC((DI)(SI*2))
	PREFETCHC((R14))
	PANEL
	ZERO4
	SUBQ $4, CX
	JLT  rest4

four4:
	AHEAD
	JGE  row4

again4:
	STEP4; ADDQ R9, BX
	STEP4; ADDQ R9, BX
	STEP4; ADDQ R9, BX
	STEP4; ADDQ R9, BX
	SUBQ $4, CX
	JGE  four4

rest4:
	ADDQ $4, CX
	JZ   done4

one4:
	STEP4; ADDQ R9, BX
	DECQ CX
	JNZ  one4

done4:
	VBROADCASTSS strip_alpha(R11), Y14
	VBROADCASTSS strip_beta(R11), Y15
	ROW3
	MOVL strip_beta(R11), CX
	SHLL $1, CX
	JZ   store4
	UPDATE((DI), Y0, Y1)
	UPDATE((DI)(SI*1), Y2, Y3)
	UPDATE((DI)(SI*2), Y4, Y5)
	UPDATE((R14), Y6, Y7)
	JMP next4

store4:
	STORE((DI), Y0, Y1)
	STORE((DI)(SI*1), Y2, Y3)
	STORE((DI)(SI*2), Y4, Y5)
	STORE((R14), Y6, Y7)

next4:
	NEXTPANEL
	DECQ R13
	JNZ  panel4
	SAVE
	RET

row4:
	AHEADROW(some4, again4)

// func copyTiles16(tiles, rows int, dst *float32, stride int, src *float32, ld int)
//
// Copies tiles of rows x 16 values, and prefetches what lies as many rows below.
TEXT ·copyTiles16(SB), NOSPLIT, $0-48
	MOVQ  tiles+0(FP), CX
	MOVQ  dst+16(FP), DI
	MOVQ  stride+24(FP), R9
	MOVQ  src+32(FP), SI
	MOVQ  ld+40(FP), R8
	SHLQ  $2, R8
	SHLQ  $2, R9
	MOVQ  rows+8(FP), R10
	IMULQ R8, R10

tile16:
	MOVQ rows+8(FP), DX
	MOVQ SI, AX
	MOVQ DI, BX

row16:
	VMOVUPS (AX), Y0
	VMOVUPS 32(AX), Y1
	VMOVUPS Y0, (BX)
	VMOVUPS Y1, 32(BX)
	PREFETCHT0 (AX)(R10*1)
	ADDQ R8, AX
	ADDQ $64, BX
	DECQ DX
	JNZ  row16
	ADDQ $64, SI
	ADDQ R9, DI
	DECQ CX
	JNZ  tile16
	VZEROUPPER
	RET

// func copyTiles6(tiles, rows int, dst *float32, stride int, src *float32, ld int)
//
// Copies tiles of rows x 6 values, and prefetches what lies as many rows below.
TEXT ·copyTiles6(SB), NOSPLIT, $0-48
	MOVQ  tiles+0(FP), CX
	MOVQ  dst+16(FP), DI
	MOVQ  stride+24(FP), R9
	MOVQ  src+32(FP), SI
	MOVQ  ld+40(FP), R8
	SHLQ  $2, R8
	SHLQ  $2, R9
	MOVQ  rows+8(FP), R10
	IMULQ R8, R10

tile6:
	MOVQ rows+8(FP), DX
	MOVQ SI, AX
	MOVQ DI, BX

row6:
	MOVUPS (AX), X0
	MOVQ 16(AX), R11
	MOVUPS X0, (BX)
	MOVQ R11, 16(BX)
	PREFETCHT0 (AX)(R10*1)
	ADDQ R8, AX
	ADDQ $24, BX
	DECQ DX
	JNZ  row6
	ADDQ $24, SI
	ADDQ R9, DI
	DECQ CX
	JNZ  tile6
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
