#include "go_asm.h"
#include "textflag.h"

// All kernels count CX down from n in steps of a vector, from the last values to the first: the slices' bases stay where they
// are, and one register is both index and counter.
//
//	CX  values left    DI  dst    SI, DX, BX  operands    Y8 to Y15  constants

#define NEXT(again) JNZ again; VZEROUPPER; RET

// func addVector(n int, dst, a, b *float32)
TEXT ·addVector(SB), NOSPLIT, $0-32
	MOVQ n+0(FP), CX
	MOVQ dst+8(FP), DI
	MOVQ a+16(FP), SI
	MOVQ b+24(FP), DX

again:
	VMOVUPS -32(SI)(CX*4), Y0
	VADDPS  -32(DX)(CX*4), Y0, Y0
	VMOVUPS Y0, -32(DI)(CX*4)
	SUBQ    $8, CX
	NEXT(again)

// func mulVector(n int, dst, a, b *float32)
TEXT ·mulVector(SB), NOSPLIT, $0-32
	MOVQ n+0(FP), CX
	MOVQ dst+8(FP), DI
	MOVQ a+16(FP), SI
	MOVQ b+24(FP), DX

again:
	VMOVUPS -32(SI)(CX*4), Y0
	VMULPS  -32(DX)(CX*4), Y0, Y0
	VMOVUPS Y0, -32(DI)(CX*4)
	SUBQ    $8, CX
	NEXT(again)

// func addProductVector(n int, dst, a, b *float32)
TEXT ·addProductVector(SB), NOSPLIT, $0-32
	MOVQ n+0(FP), CX
	MOVQ dst+8(FP), DI
	MOVQ a+16(FP), SI
	MOVQ b+24(FP), DX

again:
	VMOVUPS -32(SI)(CX*4), Y0
	VMULPS  -32(DX)(CX*4), Y0, Y0
	VADDPS  -32(DI)(CX*4), Y0, Y0
	VMOVUPS Y0, -32(DI)(CX*4)
	SUBQ    $8, CX
	NEXT(again)

// func addScaledVector(n int, dst *float32, s float32, x *float32)
TEXT ·addScaledVector(SB), NOSPLIT, $0-32
	MOVQ         n+0(FP), CX
	MOVQ         dst+8(FP), DI
	VBROADCASTSS s+16(FP), Y8
	MOVQ         x+24(FP), SI

again:
	VMULPS  -32(SI)(CX*4), Y8, Y0
	VADDPS  -32(DI)(CX*4), Y0, Y0
	VMOVUPS Y0, -32(DI)(CX*4)
	SUBQ    $8, CX
	NEXT(again)

// func lerpVector(n int, dst *float32, s float32, x *float32)
TEXT ·lerpVector(SB), NOSPLIT, $0-32
	MOVQ         n+0(FP), CX
	MOVQ         dst+8(FP), DI
	VBROADCASTSS s+16(FP), Y8
	MOVQ         x+24(FP), SI

again:
	VMOVUPS -32(DI)(CX*4), Y1
	VMOVUPS -32(SI)(CX*4), Y0
	VSUBPS  Y1, Y0, Y0
	VMULPS  Y8, Y0, Y0
	VADDPS  Y0, Y1, Y0
	VMOVUPS Y0, -32(DI)(CX*4)
	SUBQ    $8, CX
	NEXT(again)

// func affineVector(n int, dst *float32, a float32, x *float32, b float32)
TEXT ·affineVector(SB), NOSPLIT, $0-36
	MOVQ         n+0(FP), CX
	MOVQ         dst+8(FP), DI
	VBROADCASTSS a+16(FP), Y8
	MOVQ         x+24(FP), SI
	VBROADCASTSS b+32(FP), Y9

again:
	VMULPS  -32(SI)(CX*4), Y8, Y0
	VADDPS  Y9, Y0, Y0
	VMOVUPS Y0, -32(DI)(CX*4)
	SUBQ    $8, CX
	NEXT(again)

// One in each of Y8's values: all ones, shifted to the bits of 1.0's exponent.
#define ONES \
	VPCMPEQD Y8, Y8, Y8; \
	VPSRLD   $25, Y8, Y8; \
	VPSLLD   $23, Y8, Y8

// func gateVector(n int, dst *float32, slope float32, x, d *float32)
TEXT ·gateVector(SB), NOSPLIT, $0-40
	MOVQ         n+0(FP), CX
	MOVQ         dst+8(FP), DI
	VBROADCASTSS slope+16(FP), Y9
	MOVQ         x+24(FP), SI
	MOVQ         d+32(FP), DX
	ONES

again:
	VMOVUPS   -32(SI)(CX*4), Y0
	VBLENDVPS Y0, Y9, Y8, Y1    // slope where x has a sign, else 1
	VMULPS    -32(DX)(CX*4), Y1, Y0
	VMOVUPS   Y0, -32(DI)(CX*4)
	SUBQ      $8, CX
	NEXT(again)

// func addGateVector(n int, dst *float32, slope float32, x, b *float32)
TEXT ·addGateVector(SB), NOSPLIT, $0-40
	MOVQ         n+0(FP), CX
	MOVQ         dst+8(FP), DI
	VBROADCASTSS slope+16(FP), Y9
	MOVQ         x+24(FP), SI
	MOVQ         b+32(FP), DX
	ONES

again:
	VMOVUPS   -32(SI)(CX*4), Y0
	VADDPS    -32(DX)(CX*4), Y0, Y0
	VBLENDVPS Y0, Y9, Y8, Y1
	VMULPS    Y1, Y0, Y0
	VMOVUPS   Y0, -32(DI)(CX*4)
	SUBQ      $8, CX
	NEXT(again)

// func normaliseVector(n int, dst, x, mean, inverse *float32)
TEXT ·normaliseVector(SB), NOSPLIT, $0-40
	MOVQ n+0(FP), CX
	MOVQ dst+8(FP), DI
	MOVQ x+16(FP), SI
	MOVQ mean+24(FP), DX
	MOVQ inverse+32(FP), BX

again:
	VMOVUPS -32(SI)(CX*4), Y0
	VSUBPS  -32(DX)(CX*4), Y0, Y0
	VMULPS  -32(BX)(CX*4), Y0, Y0
	VMOVUPS Y0, -32(DI)(CX*4)
	SUBQ    $8, CX
	NEXT(again)

// func adamVector(n int, s *AdamStep, w, m, v, d *float32)
TEXT ·adamVector(SB), NOSPLIT, $0-48
	MOVQ n+0(FP), CX
	MOVQ s+8(FP), AX
	MOVQ w+16(FP), DI
	MOVQ m+24(FP), SI
	MOVQ v+32(FP), DX
	MOVQ d+40(FP), BX

	VBROADCASTSS AdamStep_Decay(AX), Y8
	VBROADCASTSS AdamStep_Keep1(AX), Y9
	VBROADCASTSS AdamStep_Take1(AX), Y10
	VBROADCASTSS AdamStep_Keep2(AX), Y11
	VBROADCASTSS AdamStep_Take2(AX), Y12
	VBROADCASTSS AdamStep_Rate(AX), Y13
	VBROADCASTSS AdamStep_Unbias2(AX), Y14
	VBROADCASTSS AdamStep_Epsilon(AX), Y15

again:
	VMOVUPS -32(DI)(CX*4), Y0          // w
	VMULPS  Y8, Y0, Y1
	VADDPS  -32(BX)(CX*4), Y1, Y1      // g
	VMULPS  -32(SI)(CX*4), Y9, Y2
	VMULPS  Y10, Y1, Y3
	VADDPS  Y3, Y2, Y2                 // m
	VMOVUPS Y2, -32(SI)(CX*4)
	VMULPS  -32(DX)(CX*4), Y11, Y4
	VMULPS  Y12, Y1, Y3
	VMULPS  Y1, Y3, Y3
	VADDPS  Y3, Y4, Y4                 // v
	VMOVUPS Y4, -32(DX)(CX*4)
	VMULPS  Y14, Y4, Y4
	VSQRTPS Y4, Y4
	VADDPS  Y15, Y4, Y4
	VMULPS  Y13, Y2, Y2
	VDIVPS  Y4, Y2, Y2
	VSUBPS  Y2, Y0, Y0
	VMOVUPS Y0, -32(DI)(CX*4)
	SUBQ    $8, CX
	NEXT(again)
