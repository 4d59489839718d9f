package quality

import "context"

// Distances are the Hamming distances, in bytes, from each packet to the
// nearest of others, over the bytes that do not vary freely.
func Distances(ctx context.Context, packets, others [][]byte) ([]int, error) {
	f := finder{index: newIndex(others, nil)}
	out := make([]int, len(packets))
	for i, p := range packets {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		out[i], _ = f.find(p)
	}
	return out, nil
}
