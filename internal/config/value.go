package config

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// show writes a TOML value as a fault quotes it.
func show(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case []any, []map[string]any:
		return "[...]"
	case map[string]any:
		return "{...}"
	}
	return fmt.Sprint(v)
}

func text(v any) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", errors.New("must be a string in quotes")
	}
	return s, nil
}

func boolean(v any) (bool, error) {
	b, ok := v.(bool)
	if !ok {
		return false, errors.New("must be true or false")
	}
	return b, nil
}

// number accepts an integer or a float above 0, up to limit.
func number(limit float64) func(any) (float64, error) {
	return func(v any) (float64, error) {
		f, ok := v.(float64)
		if i, isInt := v.(int64); isInt {
			f, ok = float64(i), true
		}
		if !ok || math.IsNaN(f) || f <= 0 || f > limit {
			return 0, fmt.Errorf("must be a number above 0, at most %s", strconv.FormatFloat(limit, 'f', -1, 64))
		}
		return f, nil
	}
}

// oneOf accepts exactly the given words.
func oneOf[T ~string](words ...T) func(any) (T, error) {
	return func(v any) (T, error) {
		s, _ := v.(string)
		names := make([]string, len(words))
		for i, word := range words {
			if s == string(word) {
				return word, nil
			}
			names[i] = string(word)
		}
		return "", fmt.Errorf("must be one of %s", strings.Join(names, ", "))
	}
}

// interfaceName accepts what the kernel's dev_valid_name does.
func interfaceName(v any) (string, error) {
	s, err := text(v)
	if err != nil {
		return "", err
	}
	if s == "" || len(s) > maxIfaceLen || s == "." || s == ".." || strings.ContainsAny(s, "/: \t\n\r\v\f") {
		return "", fmt.Errorf("must be an interface's name of 1 to %d characters, as `ip link` shows it", maxIfaceLen)
	}
	return s, nil
}

func allowedPrefix(v any) (netip.Prefix, error) {
	s, err := text(v)
	if err != nil {
		return netip.Prefix{}, err
	}
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.Prefix{}, fmt.Errorf(`must be a network; for this one address write "%s/%d"`, s, addr.BitLen())
	}
	prefix, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, errors.New(`must be a network such as "10.77.2.0/24"`)
	case prefix.Bits() == 0:
		return netip.Prefix{}, errors.New("allows every address: name the test servers' networks only")
	case prefix != prefix.Masked():
		return netip.Prefix{}, fmt.Errorf("has bits below its mask; the network is %q", prefix.Masked())
	}
	return prefix, nil
}

// schedule accepts five cron fields, or a descriptor such as "@every 6h".
func schedule(v any) (string, error) {
	s, err := text(v)
	if err != nil {
		return "", err
	}
	if _, err := cron.ParseStandard(s); err != nil {
		return "", fmt.Errorf(`%w; must be five cron fields such as "0 */6 * * *", or "@every 6h"`, err)
	}
	return s, nil
}

func minPackets(v any) (int, error) {
	n, ok := v.(int64)
	if !ok || n < MinTrainable || n > math.MaxInt32 {
		return 0, fmt.Errorf("must be a whole number of packets, at least %d", MinTrainable)
	}
	return int(n), nil
}

func newPackets(v any) (int, error) {
	n, ok := v.(int64)
	if !ok || n != 0 && n < MinTrainable || n > math.MaxInt32 {
		return 0, fmt.Errorf("must be a whole number of packets, at least %d, or 0 to train on the schedule alone", MinTrainable)
	}
	return int(n), nil
}

func rate(v any) (Rate, error) {
	if v == "learned" {
		return Rate{Learned: true}, nil
	}
	f, err := number(MaxRate)(v)
	if err != nil {
		return Rate{}, fmt.Errorf(`%w, in packets per second, or "learned"`, err)
	}
	return Rate{PerSecond: f}, nil
}

func timeout(v any) (time.Duration, error) {
	s, _ := v.(string)
	d, err := time.ParseDuration(s)
	if err != nil || d < minTimeout || d > MaxTimeout {
		return 0, fmt.Errorf(`must be a time such as "2s" or "500ms", from %s to 1h`, minTimeout)
	}
	return d, nil
}

// retention accepts a time of at least a minute; "" stands for none.
func retention(v any) (time.Duration, error) {
	if v == "" {
		return 0, nil
	}
	s, _ := v.(string)
	d, err := time.ParseDuration(s)
	if err != nil || d < minRetention {
		return 0, fmt.Errorf(`must be a time such as "720h" (30 days), at least %s, or "" to keep packets whatever their age`, minRetention)
	}
	return d, nil
}

// fraction accepts a number from 0 to 1.
func fraction(v any) (float64, error) {
	f, ok := v.(float64)
	if i, isInt := v.(int64); isInt {
		f, ok = float64(i), true
	}
	if !ok || !(f >= 0 && f <= 1) {
		return 0, errors.New("must be a number from 0 to 1")
	}
	return f, nil
}

func absolutePath(v any) (string, error) {
	s, err := text(v)
	if err != nil {
		return "", err
	}
	if !filepath.IsAbs(s) || strings.ContainsRune(s, 0) {
		return "", errors.New("must be a path from the root, beginning with /")
	}
	return filepath.Clean(s), nil
}

func optionalPath(v any) (string, error) {
	if v == "" {
		return "", nil
	}
	return absolutePath(v)
}

// atLeast accepts a size, as a number of bytes or with a unit.
func atLeast(least ByteSize) func(any) (ByteSize, error) {
	return func(v any) (ByteSize, error) {
		b := ByteSize(0)
		switch v := v.(type) {
		case int64:
			b = ByteSize(v)
		case string:
			var err error
			if b, err = parseByteSize(v); err != nil {
				return 0, err
			}
		default:
			return 0, errors.New(`must be a size such as "2GiB"`)
		}
		if b < least {
			return 0, fmt.Errorf("must be at least %v", least)
		}
		return b, nil
	}
}

// listen accepts an address with a port; "" turns the page off.
func listen(v any) (netip.AddrPort, error) {
	if v == "" {
		return netip.AddrPort{}, nil
	}
	s, err := text(v)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil || ap.Port() == 0 {
		return netip.AddrPort{}, errors.New(`must be an address and a port such as "127.0.0.1:9746", or "" for no page`)
	}
	return ap, nil
}
