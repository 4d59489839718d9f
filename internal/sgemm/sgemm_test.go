package sgemm

import "testing"

func TestQuick(t *testing.T) {
	c := []float32{1, 1, 1, 1}
	Gemm(false, true, 2, 2, 2, 1, []float32{1, 2, 3, 4}, 2, []float32{5, 6, 7, 8}, 2, 2, c, 2)
	if want := [4]float32{19, 25, 41, 55}; [4]float32(c) != want {
		t.Errorf("got %v, want %v", c, want)
	}
}
