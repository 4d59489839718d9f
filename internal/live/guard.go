// Package live is what pages that follow what they show have in common, whatever that is: their style sheet and script,
// parts that are sent again when they change, and the guard before them.
package live

import (
	"embed"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
)

// Static are the style sheet, the script and the icon, below "static/". The script replaces the elements with the attribute
// data-live by the events of their id, from the address in the body's data-events.
//
//go:embed static
var Static embed.FS

// Policy is the Content-Security-Policy of a page without forms. It lets the page load its own style sheet and script and
// connect to its own events; all else is refused, inline script and style too.
const Policy = policy + "form-action 'none'"

// FormPolicy is that of a page with forms, which go to itself.
const FormPolicy = policy + "form-action 'self'"

const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "

// Guard refuses foreign names and sets the headers that all responses have. hosts are names by which the page may be asked
// for beside localhost and IP addresses: a web site whose name resolves to 127.0.0.1 (DNS rebinding) could otherwise read it.
func Guard(next http.Handler, policy string, hosts []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin") // "no-referrer" would hide from us, too, where a form comes from
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !ours(r.Host, hosts) {
			w.WriteHeader(http.StatusMisdirectedRequest)
			io.WriteString(w, "unknown host name: use the IP address or localhost\n") // the client may be gone
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ours says whether a Host header names this page.
func ours(host string, hosts []string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if len(host) > 2 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	_, err := netip.ParseAddr(host)
	return err == nil || host == "" || host == "localhost" || slices.Contains(hosts, host)
}
