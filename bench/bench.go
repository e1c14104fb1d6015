//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"holdfast/bench/load"
)

// scale is how much work is done.
type scale struct {
	rounds  int
	warm    time.Duration
	measure time.Duration
	open    time.Duration // a window of the open loop
	entries []int         // of the open loop and of memory: small, then large
	state   int           // bytes of values for snapshots and restarts
	save    time.Duration // a window in which a snapshot is taken
	expire  int           // keys that expire
	idle    time.Duration // over which an idle server is watched
	group   time.Duration // a window on a group
	trials  int           // how often a group is disturbed in each way
}

var (
	full  = scale{5, 500 * time.Millisecond, 2 * time.Second, 4 * time.Second, []int{1e6, 5e6}, 1 << 30, 30 * time.Second, 100_000, 10 * time.Second, 1200 * time.Millisecond, 5}
	brief = scale{3, 200 * time.Millisecond, 700 * time.Millisecond, 2 * time.Second, []int{3e5}, 200 << 20, 8 * time.Second, 20_000, 3 * time.Second, 700 * time.Millisecond, 2}
)

// bench is one run of the harness.
type bench struct {
	scale    scale
	dir      string // for binaries, data and raw figures; git ignores it
	scratch  string // in it, for the data of this run's servers
	holdfast string // the binary, or "none"
	collects bool   // it was built here, so SIGUSR2 makes it collect
	climit   string // the binary, empty without a C compiler
	cert     string // a certificate for 127.0.0.1 that is its own authority
	key      string

	pinned, loose placement // server and generator on a processor each; nothing pinned

	servers []*server

	seed      uint64
	raw       []rawRun
	discarded int // noisy runs that were repeated
	noisy     int // noisy runs that counted, since repeating did not help
}

// rawRun is one line of raw.json.
type rawRun struct {
	Lane   string
	Load   load.Config
	Result load.Result
}

// prepare builds what is measured and lays out the processors.
func (b *bench) prepare() error {
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return err
	}
	if err := b.makeScratch(); err != nil {
		return err
	}
	cpus, err := processors()
	if err != nil {
		return err
	}
	if len(cpus) < 2 {
		return errors.New("one processor only: server and generator need one each")
	}
	b.pinned = placement{cpus[:1], cpus[1:2]}
	b.loose = placement{cpus[:2], cpus[:2]}
	if b.holdfast == "" {
		if err := b.build(); err != nil {
			return err
		}
	}
	climit := filepath.Join(b.dir, "climit")
	if out, err := exec.Command("gcc", "-O2", "-o", climit, "bench/climit/climit.c").CombinedOutput(); err == nil {
		b.climit = climit
	} else {
		log.Printf("no C limit: %v %s", err, out)
	}
	return b.makeCertificate()
}

// build makes the daemon from the tree, with a collection at every SIGUSR2.
func (b *bench) build() error {
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {"cmd/holdfast/collect.go": "bench/testdata/collect.go"}})
	if err != nil {
		return err
	}
	file := filepath.Join(b.scratch, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o644); err != nil {
		return err
	}
	b.holdfast, b.collects = filepath.Join(b.scratch, "holdfast"), true
	cmd := exec.Command("go", "build", "-buildvcs=false", "-overlay", file, "-o", b.holdfast, "./cmd/holdfast")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as make build does
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building holdfast (run this in the root of the tree): %w: %s", err, out)
	}
	return nil
}

// makeScratch makes the directory that goes with this run, even when it is interrupted (its servers then end by themselves).
func (b *bench) makeScratch() (err error) {
	if b.scratch, err = os.MkdirTemp(b.dir, "run-"); err != nil {
		return err
	}
	if b.scratch, err = filepath.Abs(b.scratch); err != nil {
		return err
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		os.RemoveAll(b.scratch)
		os.Exit(1)
	}()
	return nil
}

func (b *bench) cleanup() {
	b.stopAll()
	os.RemoveAll(b.scratch)
}

// makeCertificate writes a certificate for 127.0.0.1 that lasts a day.
func (b *bench) makeCertificate() error {
	b.cert, b.key = filepath.Join(b.scratch, "cert.pem"), filepath.Join(b.scratch, "key.pem")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(b.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644),
		os.WriteFile(b.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
}

// writeRaw keeps every run, the discarded ones too.
func (b *bench) writeRaw() error {
	text, err := json.MarshalIndent(b.raw, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.dir, "raw.json"), text, 0o644)
}
