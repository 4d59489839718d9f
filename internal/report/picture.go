package report

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"

	"pacgan-appliance/internal/encoding"
)

// matrix is a packet as the paper draws it (its Fig. 1), the n x n matrix that the networks see: each hex digit x is a d x d block of grey 16 x + 8 (the paper's equation 1), what no
// digit fills is black. It fails on a packet that does not fit the geometry.
func matrix(g encoding.Geometry, packet []byte) (*image.Gray, error) {
	elements, err := g.Encode(packet)
	if err != nil {
		return nil, fmt.Errorf("draw packet: %w", err)
	}
	img := image.NewGray(image.Rect(0, 0, g.N, g.N))
	for i, y := range elements {
		img.SetGray(i%g.N, i/g.N, color.Gray{uint8(min(max(y, 0), 255))})
	}
	return img, nil
}

// dataURI is an image as a PNG in a data: URI, for a page that fetches nothing.
func dataURI(img image.Image) (string, error) {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return "", fmt.Errorf("encode picture: %w", err)
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes()), nil
}
