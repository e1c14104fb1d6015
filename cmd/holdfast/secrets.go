package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"strings"

	"holdfast/config"
)

// Limits of the files that settings name.
const (
	maxSecretFile = 1 << 20 // bytes
	maxUsers      = 1000    // lines of memcached-auth-file
)

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

// redisUsers are the further users, who all have the password.
func redisUsers(c *config.Config, password string) map[string]string {
	users := map[string]string{}
	for _, name := range c.RedisUsers {
		users[name] = password
	}
	return users
}

// memcachedUsers reads the users that may log in on the memcached ports: nil if nobody needs to.
func memcachedUsers(c *config.Config) (map[string]string, error) {
	name := c.MemcachedAuthFile
	if name == "" {
		return nil, nil
	}
	text, err := readSecret("memcached-auth-file", name)
	if err != nil {
		return nil, err
	}
	users := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		user, password, ok := strings.Cut(line, ":")
		if !ok || user == "" || password == "" || strings.ContainsAny(line, " \t") || len(users) == maxUsers {
			return nil, fmt.Errorf("setting memcached-auth-file: line %d of %s is not name:password without blanks (or there are more than %d): correct it", n, name, maxUsers)
		}
		users[user] = password
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("setting memcached-auth-file: %s: %w", name, err)
	}
	if len(users) == 0 {
		return nil, fmt.Errorf("setting memcached-auth-file: %s names nobody: write name:password there", name)
	}
	return users, nil
}

// tlsConfig loads what the TLS listeners show and ask for: nil if there is no certificate.
func tlsConfig(c *config.Config) (*tls.Config, error) {
	if c.TLSCert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("settings tls-cert (%s) and tls-key (%s): %w", c.TLSCert, c.TLSKey, err)
	}
	t := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
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
