package jsonline

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/bounded"
)

// FuzzMembers compares with encoding/json: which lines are objects, and what their members are.
func FuzzMembers(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":"x\"y\u00e9","c":{"d":[1,2,{}]},"a":null}`)) // escapes, nesting, a name twice
	f.Add([]byte(` {"":-0.5e+3} `))                                       // no name, spaces
	f.Add([]byte(`{"a":1} x`))                                            // goes on
	f.Add([]byte(`{"a":"` + "\xff" + `"}`))                               // no UTF-8: a payload
	f.Add([]byte(`{"a":1,}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, line []byte) {
		defer bounded.Input(t, len(line))()
		got := map[string]string{}
		var o Object
		o.Begin(line)
		err := o.Members(func(name []byte) error {
			key := string(name)
			value, err := o.Scalar()
			got[key] = string(value)
			return err
		})
		if err == nil {
			err = o.End()
		}
		if !utf8.Valid(line) {
			return // encoding/json repairs what is handed on here as it is
		}
		var want map[string]json.RawMessage
		wantErr := json.Unmarshal(line, &want)
		if wantErr == nil && want == nil {
			return // null
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("error %v, encoding/json: %v", err, wantErr)
		}
		if err != nil {
			return
		}
		texts := map[string]string{}
		for name, raw := range want {
			texts[name] = string(raw)
			if raw[0] == '"' {
				var s string
				if err := json.Unmarshal(raw, &s); err != nil {
					t.Fatal(err)
				}
				texts[name] = s
			}
		}
		if diff := cmp.Diff(texts, got); diff != "" {
			t.Errorf("(-encoding/json +got):\n%s", diff)
		}
	})
}

func TestNumber(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{`{"n":65535}`, ""},
		{`{"n":65536}`, `n "65536": must be a whole number from 0 to 65535`},
		{`{"n":-1}`, `n "-1": must be a whole number from 0 to 65535`},
		{`{"n":1.0}`, `n "1.0": must be a whole number from 0 to 65535`},
		{`{"n":{}}`, `n "{}": must be a whole number from 0 to 65535`},
	} {
		var o Object
		var n uint16
		o.Begin([]byte(tt.line))
		got := ""
		if err := o.Members(func([]byte) error { return Number(&o, "n", &n) }); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: error %q, want %q", tt.line, got, tt.want)
		}
	}
}
