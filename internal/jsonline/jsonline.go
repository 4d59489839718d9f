// Package jsonline reads known members of JSON objects, a line each: logs with
// a hundred million lines, of which a few members are of use. It knows no log's
// meaning.
package jsonline

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Object reads the members of JSON objects without allocating. Its zero value
// is ready; one goroutine uses it.
type Object struct {
	reader  bytes.Reader
	decoder jsontext.Decoder
	room    []byte // for strings with escapes
}

// Begin takes up a line.
func (o *Object) Begin(line []byte) {
	o.reader.Reset(line)
	o.decoder.Reset(&o.reader, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) // payloads and names are an attacker's
}

// errNoObject says that a value is something else.
var errNoObject = errors.New("must be a JSON object")

// Members calls visit for each member of the next value, an object. visit
// reads the member's value, by Scalar, Keep, Number, Skip or Members, after it
// looked at the name. An error of visit ends it.
func (o *Object) Members(visit func(name []byte) error) error {
	if token, err := o.decoder.ReadToken(); err != nil || token.Kind() != '{' {
		return errNoObject
	}
	for o.decoder.PeekKind() != '}' {
		name, err := o.Scalar()
		if err != nil {
			return err
		}
		if err := visit(name); err != nil {
			return err
		}
	}
	_, err := o.decoder.ReadToken()
	return err
}

// End fails where the line goes on after its value.
func (o *Object) End() error {
	switch token, err := o.decoder.ReadToken(); {
	case err == io.EOF:
		return nil
	case err != nil:
		return err
	default:
		return fmt.Errorf("%s after the object", token.Kind())
	}
}

// IsObject reports whether the next value is one.
func (o *Object) IsObject() bool { return o.decoder.PeekKind() == '{' }

// Skip passes over the next value.
func (o *Object) Skip() error { return o.decoder.SkipValue() }

// Scalar reads the next value: a string without quotes and escapes, anything
// else as it stands. It is valid until the next reading.
func (o *Object) Scalar() ([]byte, error) {
	value, err := o.decoder.ReadValue()
	if err != nil {
		return nil, err
	}
	if value.Kind() != '"' {
		return value, nil
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return value[1 : len(value)-1], nil
	}
	o.room, err = jsontext.AppendUnquote(o.room[:0], value)
	return o.room, err
}

// Keep reads the next value into *to, whose room it uses again.
func (o *Object) Keep(to *[]byte) error {
	value, err := o.Scalar()
	*to = append((*to)[:0], value...)
	return err
}

// Number reads the next value, a whole number from 0 to the largest of T.
func Number[T uint8 | uint16 | uint64](o *Object, what string, to *T) error {
	value, err := o.Scalar()
	if err != nil {
		return err
	}
	*to, err = ParseNumber[T](what, value)
	return err
}

// ParseNumber reads a whole number from 0 to the largest of T. what names it in the error.
func ParseNumber[T uint8 | uint16 | uint64](what string, value []byte) (T, error) {
	n, err := strconv.ParseUint(string(value), 10, 64)
	if err != nil || uint64(T(n)) != n {
		return 0, fmt.Errorf("%s %q: must be a whole number from 0 to %d", what, value, ^T(0))
	}
	return T(n), nil
}
