package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"holdfast/config"
	"holdfast/redis"
	"holdfast/users"
)

// maxSecretFile bounds the files that settings name.
const maxSecretFile = 1 << 20 // bytes

func readSecret(setting, name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("setting %s: %w", setting, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return nil, fmt.Errorf("setting %s: %w", setting, err)
	}
	if len(text) > maxSecretFile {
		return nil, fmt.Errorf("setting %s: %s is larger than %d bytes: is it the right file?", setting, name, maxSecretFile)
	}
	return text, nil
}

// redisPassword is the password of Redis clients, empty if they need none.
func redisPassword(c *config.Config) (string, error) {
	if c.RedisPasswordFile == "" {
		return c.RedisPassword, nil
	}
	text, err := readSecret("redis-password-file", c.RedisPasswordFile)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	line = strings.TrimSuffix(line, "\r")
	if line == "" || len(line) > config.MaxPassword {
		return "", fmt.Errorf("setting redis-password-file: the first line of %s is empty or too long: write up to %d bytes there", c.RedisPasswordFile, config.MaxPassword)
	}
	return line, nil
}

// access is who may come in on the ports of each protocol.
type access struct{ redis, memcached *users.Set }

// readAccess reads the users that the settings name: from one file for both protocols, or the password of one and the list of the other.
func readAccess(c *config.Config) (access, error) {
	if c.UsersFile != "" {
		text, err := readSecret("users-file", c.UsersFile)
		if err != nil {
			return access{}, err
		}
		set, err := users.Parse(string(text), redis.Catalogue())
		if err != nil {
			return access{}, fmt.Errorf("setting users-file: %s, %w", c.UsersFile, err)
		}
		if name := c.MemcachedUser; name != "" && set.Anonymous(name) == nil {
			return access{}, fmt.Errorf("setting memcached-user: %s has no user %q that is on and nopass: add one, or leave the setting out", c.UsersFile, name)
		}
		return access{set, set}, nil
	}
	of, err := redisUsers(c)
	if err != nil {
		return access{}, err
	}
	on, err := memcachedUsers(c)
	return access{of, on}, err
}

// everything is what a user of a plain password may do.
func everything(password string) []string { return []string{"on", ">" + password, "~*", "&*", "+@all"} }

// redisUsers is the default user and the further ones, who all have the password.
func redisUsers(c *config.Config) (*users.Set, error) {
	set := users.New(redis.Catalogue())
	password, err := redisPassword(c)
	if err != nil || password == "" {
		return set, err
	}
	for _, name := range append([]string{users.Default}, c.RedisUsers...) {
		if err := set.Add(name, everything(password)...); err != nil {
			return nil, fmt.Errorf("settings redis-users and redis-password: %w", err)
		}
	}
	return set, nil
}

// memcachedUsers reads the users that may log in on the memcached ports: nil if nobody needs to.
func memcachedUsers(c *config.Config) (*users.Set, error) {
	name := c.MemcachedAuthFile
	if name == "" {
		return nil, nil
	}
	set := users.New(redis.Catalogue())
	text, err := readSecret("memcached-auth-file", name)
	if err != nil {
		return nil, err
	}
	if err := set.Add(users.Default, "off"); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		user, password, ok := strings.Cut(line, ":")
		if !ok || user == "" || password == "" || strings.ContainsAny(line, " \t") {
			return nil, fmt.Errorf("setting memcached-auth-file: line %d of %s is not name:password without blanks: correct it", n, name)
		}
		if err := set.Add(user, everything(password)...); err != nil {
			return nil, fmt.Errorf("setting memcached-auth-file: line %d of %s: %w", n, name, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("setting memcached-auth-file: %s: %w", name, err)
	}
	if len(set.Users()) == 1 {
		return nil, fmt.Errorf("setting memcached-auth-file: %s names nobody: write name:password there", name)
	}
	return set, nil
}

// clientTLS loads what the TLS listeners show and ask for: nil if there is no certificate.
func clientTLS(c *config.Config, log *slog.Logger) (*certificates, error) {
	if c.TLSCert == "" {
		return nil, nil
	}
	files := []string{c.TLSCert, c.TLSKey}
	if c.TLSClientCA != "" {
		files = append(files, c.TLSClientCA)
	}
	return openCertificates("for clients", files, log, func() (*tls.Config, error) { return loadClient(c) })
}

func loadClient(c *config.Config) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("settings tls-cert (%s) and tls-key (%s): %w", c.TLSCert, c.TLSKey, err)
	}
	// One record for a write: these are answers, not pages.
	t := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, DynamicRecordSizingDisabled: true}
	if c.TLSClientCA == "" {
		return t, nil
	}
	pem, err := readSecret("tls-client-ca", c.TLSClientCA)
	if err != nil {
		return nil, err
	}
	t.ClientCAs = x509.NewCertPool()
	if !t.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("setting tls-client-ca: there is no certificate in %s: write the authorities there, PEM", c.TLSClientCA)
	}
	t.ClientAuth = tls.RequireAndVerifyClientCert
	return t, nil
}
