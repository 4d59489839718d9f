package verify

import (
	"encoding/json"
	"fmt"
	"time"
)

// rttBins and subBins are the histogram's shape in bpf/verdict.h: exact below
// 16 ns, then 16 bins for each doubling.
const (
	rttBins = len(matchHistogram{}.Bins)
	subBins = 16
	subBits = 4
)

// Histogram counts round-trip times in bins that are at most a sixteenth of
// their value wide.
type Histogram struct {
	bins [rttBins]uint64
}

// Count is how many times were recorded.
func (h *Histogram) Count() uint64 {
	var n uint64
	for _, c := range h.bins {
		n += c
	}
	return n
}

// Quantile is the time below which a share q (0 to 1) of the recorded times
// lie, at most 1/32 off; 0 where none were recorded. Times of 17 s and more
// are all in the last bin.
func (h *Histogram) Quantile(q float64) time.Duration {
	total := h.Count()
	if total == 0 {
		return 0
	}
	rank := max(1, min(total, uint64(q*float64(total)+0.5)))
	var seen uint64
	for bin, c := range h.bins {
		seen += c
		if seen >= rank {
			return binMiddle(bin)
		}
	}
	return 0
}

// Merge adds another histogram's counts.
func (h *Histogram) Merge(other *Histogram) {
	for i, c := range other.bins {
		h.bins[i] += c
	}
}

// MarshalJSON writes the counts of the bins that are not empty, by bin.
func (h Histogram) MarshalJSON() ([]byte, error) {
	filled := map[int]uint64{}
	for bin, n := range h.bins {
		if n > 0 {
			filled[bin] = n
		}
	}
	return json.Marshal(filled)
}

// UnmarshalJSON reads what MarshalJSON wrote, and no bin that there is not.
func (h *Histogram) UnmarshalJSON(text []byte) error {
	var filled map[int]uint64
	if err := json.Unmarshal(text, &filled); err != nil {
		return err
	}
	*h = Histogram{}
	for bin, n := range filled {
		if bin < 0 || bin >= rttBins {
			return fmt.Errorf("verify: round-trip times in bin %d of %d", bin, rttBins)
		}
		h.bins[bin] = n
	}
	return nil
}

// binMiddle is the time in the middle of a bin.
func binMiddle(bin int) time.Duration {
	if bin < subBins {
		return time.Duration(bin)
	}
	top := bin/subBins + subBits - 1 // the highest bit of the bin's times
	width := int64(1) << (top - subBits)
	low := int64(1)<<top + int64(bin%subBins)*width
	return time.Duration(low + width/2)
}
