package inject_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pacgan-appliance/internal/lab/labtest"
)

// siteText is in the body of what nginx serves; its status line and headers
// lack it.
const siteText = "a page of the lab"

// startSystemServers runs unbound and nginx on a host, at all of its
// addresses, until the test ends. unbound knows www.lab.test and, with more
// addresses than an answer has room for, many.lab.test; it refuses 10.77.1.12.
// nginx
// serves / and, with half a megabyte before siteText, /long.
func startSystemServers(tb testing.TB, host *labtest.Host, addrs ...string) {
	tb.Helper()
	dir := tb.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	var unbound, nginx strings.Builder
	fmt.Fprintf(&unbound, `server:
	do-daemonize: no
	username: ""
	chroot: ""
	use-syslog: no
	num-threads: 1
	module-config: "iterator"
	access-control: 0.0.0.0/0 allow
	access-control: ::/0 allow
	access-control: 10.77.1.12/32 refuse
	local-zone: "." static
	local-data: "www.lab.test. 300 IN A 10.77.2.81"
	local-data: "www.lab.test. 300 IN AAAA fd77:2::81"
	directory: %[1]q
	pidfile: ""
	logfile: "%[1]s/unbound.log"
`, dir)
	fmt.Fprintf(&nginx, `daemon off;
user root;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log %[1]s/nginx.log error;
events { worker_connections 4096; }
http {
	access_log off;
	default_type text/plain;
	client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
	server {
		root %[1]s;
		location = / { return 200 "%[2]s\n"; }
		location = /other { return 200 "something else\n"; }
`, dir, siteText)
	for i := range 60 {
		fmt.Fprintf(&unbound, "\tlocal-data: \"many.lab.test. 300 IN A 10.77.2.%d\"\n", 100+i)
	}
	for _, a := range addrs {
		fmt.Fprintf(&unbound, "\tinterface: %s\n", a)
		fmt.Fprintf(&nginx, "\t\tlisten %s;\n", net.JoinHostPort(a, "80"))
	}
	unbound.WriteString("remote-control:\n\tcontrol-enable: no\n")
	nginx.WriteString("\t}\n}\n")
	mustWrite(tb, filepath.Join(dir, "long"), strings.Repeat("not what is looked for\n", 24000)+siteText+"\n")
	mustServe(tb, host, "unbound", "-d", "-c", mustWrite(tb, filepath.Join(dir, "unbound.conf"), unbound.String()))
	mustServe(tb, host, "nginx", "-e", "stderr", "-p", dir, "-c", mustWrite(tb, filepath.Join(dir, "nginx.conf"), nginx.String()))
	eventually(tb, "unbound and nginx do not listen", func() bool {
		out, err := host.Command("ss", "-Hltun").Output()
		return err == nil && strings.Count(string(out), ":80 ") >= len(addrs) && strings.Count(string(out), ":53 ") >= 2*len(addrs)
	})
}

func mustWrite(tb testing.TB, path, text string) string {
	tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		tb.Fatal(err)
	}
	return path
}

// mustServe runs a server until the test ends.
func mustServe(tb testing.TB, host *labtest.Host, name string, args ...string) {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path = filepath.Join("/usr/sbin", name)
	}
	var said strings.Builder
	cmd := host.Command(path, args...)
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait() // a signal has ended it
		if tb.Failed() {
			tb.Logf("%s said: %s", name, said.String())
		}
	})
}
