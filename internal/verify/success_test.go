package verify

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestSuccessOf(t *testing.T) {
	for _, want := range []Success{
		{Answered: 15, Decided: 148, Rate: 0.10135, Low: 0.0624, High: 0.1605}, // Newcombe, as in package wilson
		{Answered: 0, Decided: 0, Rate: 0, Low: 0, High: 1},
	} {
		if diff := cmp.Diff(want, SuccessOf(want.Answered, want.Decided), cmpopts.EquateApprox(0, 5e-5)); diff != "" {
			t.Errorf("%d of %d (-want +got):\n%s", want.Answered, want.Decided, diff)
		}
	}
}
