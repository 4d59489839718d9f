package hub

// Names of files in the directory that Init makes.
const (
	// ConfigFile is the server's configuration; it includes AccountsFile.
	ConfigFile = "hub.conf"
	// AccountsFile says who is let in and may do what.
	AccountsFile = "accounts.conf"
	// KeyFile is the hub's own NKey.
	KeyFile = "hub.nk"
	// CAFile is the certificate that signed the server's.
	CAFile = "ca.pem"
)
