package config

import (
	"fmt"
	"strings"
)

// positions holds the line of every key and value of a TOML text, by path:
// `gateway.lan`, `label[1].filter`, `safety.allow[0]`. BurntSushi/toml tells
// lines in its own errors only, and cannot tell one [[label]] from the next.
type positions struct {
	lines map[string]int
	paths []string // in the text's order
}

// locate scans a text that toml has accepted; of any other it makes what it can.
func locate(text string) positions {
	s := scanner{text: text, line: 1, tables: map[string]int{}}
	s.out.lines = map[string]int{}
	table := ""
	for s.skipBlank(); s.at < len(s.text); s.skipBlank() {
		if s.peek() == '[' {
			table = s.header()
			continue
		}
		s.pair(table)
	}
	return s.out
}

// at returns the line of path, or of what holds it, or 1.
func (p positions) at(path string) int {
	for path != "" {
		if line, ok := p.lines[path]; ok {
			return line
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 1
}

// scanner walks TOML's grammar (toml.io v1.0) as far as lines and nesting need it.
type scanner struct {
	text   string
	at     int
	line   int
	tables map[string]int // how many [[name]] there were so far
	out    positions
}

func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

func (s *scanner) next() byte {
	c := s.peek()
	if c == '\n' {
		s.line++
	}
	s.at++
	return c
}

func (s *scanner) record(path string, line int) {
	if _, ok := s.out.lines[path]; !ok {
		s.out.lines[path] = line
		s.out.paths = append(s.out.paths, path)
	}
}

// skipWhile passes over the bytes of set.
func (s *scanner) skipWhile(set string) {
	for s.at < len(s.text) && strings.IndexByte(set, s.text[s.at]) >= 0 {
		s.next()
	}
}

// skipUntil passes over everything up to a byte of set.
func (s *scanner) skipUntil(set string) {
	for s.at < len(s.text) && strings.IndexByte(set, s.text[s.at]) < 0 {
		s.next()
	}
}

// skipBlank passes over white space, line ends and comments.
func (s *scanner) skipBlank() {
	for {
		s.skipWhile(" \t\r\n")
		if s.peek() != '#' {
			return
		}
		s.skipUntil("\n")
	}
}

// header reads [name] or [[name]] and returns the table's path.
func (s *scanner) header() string {
	line := s.line
	s.next()
	isArray := s.peek() == '['
	if isArray {
		s.next()
	}
	path := ""
	parts := s.key()
	for i, part := range parts {
		path = join(path, part)
		last := i == len(parts)-1
		if last && isArray {
			s.tables[path]++
		}
		s.record(path, line)
		if n := s.tables[path]; n > 0 {
			path = fmt.Sprintf("%s[%d]", path, n-1)
		}
	}
	s.record(path, line)
	s.skipUntil("\n")
	return path
}

// pair reads key = value below path.
func (s *scanner) pair(path string) {
	line := s.line
	start := s.at
	for _, part := range s.key() {
		path = join(path, part)
	}
	s.record(path, line)
	if s.peek() == '=' {
		s.next()
		s.value(path)
	}
	if s.at == start {
		s.next() // text that toml would not have accepted
	}
}

// key reads a dotted key.
func (s *scanner) key() []string {
	var parts []string
	for {
		s.skipWhile(" \t")
		start := s.at
		if c := s.peek(); c == '"' || c == '\'' {
			s.quoted()
		} else {
			s.skipUntil(" \t\r\n=.]#,}\"'")
		}
		parts = append(parts, strings.Trim(s.text[start:s.at], `"'`))
		s.skipWhile(" \t")
		if s.peek() != '.' {
			return parts
		}
		s.next()
	}
}

// value reads one value and records what lies inside it.
func (s *scanner) value(path string) {
	s.skipBlank()
	s.record(path, s.line)
	switch s.peek() {
	case '"', '\'':
		s.quoted()
	case '[':
		s.next()
		s.list(']', func(i int) { s.value(fmt.Sprintf("%s[%d]", path, i)) })
	case '{':
		s.next()
		s.list('}', func(int) { s.pair(path) })
	default:
		s.skipUntil(",]}\n#")
	}
}

// list reads items separated by commas up to the closing byte.
func (s *scanner) list(closing byte, item func(i int)) {
	for i := 0; ; i++ {
		s.skipBlank()
		if s.at >= len(s.text) {
			return
		}
		if s.peek() == closing {
			s.next()
			return
		}
		start := s.at
		item(i)
		s.skipBlank()
		if s.peek() == ',' || s.at == start {
			s.next()
		}
	}
}

// quoted passes over a string of any of the four kinds.
func (s *scanner) quoted() {
	quote := s.next()
	delimiter := string(quote)
	if strings.HasPrefix(s.text[s.at:], strings.Repeat(delimiter, 2)) {
		s.at += 2
		delimiter = strings.Repeat(delimiter, 3)
	}
	for s.at < len(s.text) {
		if strings.HasPrefix(s.text[s.at:], delimiter) {
			s.at += len(delimiter)
			for len(delimiter) == 3 && s.peek() == quote { // up to two more belong to the string
				s.at++
			}
			return
		}
		if s.next() == '\\' && quote == '"' {
			s.next()
		}
	}
	s.at = len(s.text)
}

func join(path, part string) string {
	if path == "" {
		return part
	}
	return path + "." + part
}
