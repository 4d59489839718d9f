package encoding

import "fmt"

// AppendDigits appends the hex digits of packet to dst, the high digit of each byte first.
func AppendDigits(dst []uint8, packet []byte) []uint8 {
	for _, b := range packet {
		dst = append(dst, b>>4, b&15)
	}
	return dst
}

// AppendBytes appends to dst the bytes whose hex digits are given, the high digit first.
func AppendBytes(dst []byte, digits []uint8) ([]byte, error) {
	if len(digits)%2 != 0 {
		return dst, fmt.Errorf("join %d digits: a byte has two", len(digits))
	}
	for i := 0; i < len(digits); i += 2 {
		if high, low := digits[i], digits[i+1]; high >= Values || low >= Values {
			return dst, fmt.Errorf("join digits %d and %d at %d: a digit is 0 to %d", high, low, i, Values-1)
		}
		dst = append(dst, digits[i]<<4|digits[i+1])
	}
	return dst, nil
}
