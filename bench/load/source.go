//go:build linux

package load

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// lifetime is patched into every SET: four digits, so that all requests of a kind have one length.
const (
	lifetimeMin  = 3600 // seconds
	lifetimeSpan = 3600
)

// sizes is how many different value sizes a mixed load has.
const sizes = 16

// template is a request with a hole for the key and, in a SET, for the lifetime.
type template struct {
	text     []byte
	key, ttl int   // offsets; ttl -1: none
	streams  []int // etcd: offsets of the number that the connection gives to the call
}

// Templates returns the GET and the SET of a protocol with a value of size bytes.
func Templates(protocol string, size int) (get, set []byte) {
	g, s := getTemplate(protocol), setTemplate(protocol, size, 0)
	return g.text, s.text
}

func getTemplate(protocol string) template {
	if protocol == "etcd" {
		return etcdTemplate(0)
	}
	key := strings.Repeat("k", KeySize)
	text := fmt.Sprintf("get %s\r\n", key)
	if protocol == "redis" {
		text = fmt.Sprintf("*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n", KeySize, key)
	}
	return template{text: []byte(text), key: strings.Index(text, key), ttl: -1}
}

// setTemplate is a SET, followed by a WAIT for so many replicas if there are any to wait for.
func setTemplate(protocol string, size, replicas int) template {
	if protocol == "etcd" {
		return etcdTemplate(size)
	}
	key, value := strings.Repeat("k", KeySize), strings.Repeat("x", size)
	text := fmt.Sprintf("set %s 0 TTTT %d\r\n%s\r\n", key, size, value)
	if protocol == "redis" {
		text = fmt.Sprintf("*5\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n$2\r\nEX\r\n$4\r\nTTTT\r\n", KeySize, key, size, value)
	}
	ttl := strings.Index(text, "TTTT")
	if replicas > 0 {
		text += fmt.Sprintf("*3\r\n$4\r\nWAIT\r\n$1\r\n%d\r\n$1\r\n0\r\n", replicas)
	}
	return template{text: []byte(text), key: strings.Index(text, key), ttl: ttl}
}

// source makes a worker's requests.
type source struct {
	cfg    *Config
	get    template
	sets   []template
	rng    *rand.Rand
	next   int // sweep: the next position
	stride int // sweep: workers take turns
	batch  []byte
	last   *template // of the batch before
}

// single says whether the last batch was one GET.
func (s *source) single() bool { return s.cfg.Depth == 1 && s.last == &s.get }

// answers is how many replies a request has.
func (s *source) answers() int {
	if s.cfg.Wait > 0 {
		return 2
	}
	return 1
}

func newSource(cfg *Config, worker, workers int) *source {
	s := &source{cfg: cfg, get: getTemplate(cfg.Protocol), next: worker, stride: workers,
		rng: rand.New(rand.NewPCG(cfg.Seed, uint64(worker)))}
	if cfg.ValueMax > cfg.Value {
		for i := range sizes {
			s.sets = append(s.sets, setTemplate(cfg.Protocol, cfg.Value+(cfg.ValueMax-cfg.Value)*i/(sizes-1), cfg.Wait))
		}
	} else {
		s.sets = []template{setTemplate(cfg.Protocol, cfg.Value, cfg.Wait)}
	}
	s.batch = make([]byte, cfg.Depth*max(len(s.get.text), len(s.sets[len(s.sets)-1].text)))
	return s
}

// fill makes the next batch. It returns how many requests are in it: fewer than Depth, or none, at the end of a sweep.
// The batch is valid until the next call.
func (s *source) fill() (batch []byte, n int) {
	at := 0
	for ; n < s.cfg.Depth; n++ {
		r := s.rng.Uint64()
		id := int(r >> 32 * uint64(s.cfg.Keys) >> 32)
		set := int(r&0xffff)%10 < s.cfg.Sets
		if s.cfg.Sweep {
			if s.next >= s.cfg.Keys {
				break
			}
			id, set = shuffled(s.next, s.cfg.Keys, s.cfg.Seed), true
			s.next += s.stride
		}
		t := &s.get
		if set {
			t = &s.sets[int(r>>16&0xff)%len(s.sets)]
		}
		b := s.batch[at:]
		at += copy(b, t.text)
		putKey(b[t.key:], uint64(id))
		s.last = t
		if t.ttl >= 0 {
			putLifetime(b[t.ttl:], lifetimeMin+int(r>>24&0xffff)%lifetimeSpan)
		}
	}
	return s.batch[:at], n
}

// Key is the key with number id, as every run names it.
func Key(id int) string {
	var b [KeySize]byte
	putKey(b[:], uint64(id))
	return string(b[:])
}

// putKey writes key id: a word and 32 hex digits that look random, as session keys do. Different ids give different keys.
func putKey(b []byte, id uint64) {
	const word, digits = "session:", "0123456789abcdef"
	copy(b, word)
	b = b[len(word):KeySize]
	x, y := mix(id), mix(id^0x5851f42d4c957f2d)
	for i := range 16 {
		b[i], b[16+i] = digits[x>>(4*i)&15], digits[y>>(4*i)&15]
	}
}

func putLifetime(b []byte, seconds int) {
	b[0], b[1], b[2], b[3] = byte('0'+seconds/1000), byte('0'+seconds/100%10), byte('0'+seconds/10%10), byte('0'+seconds%10)
}

// mix is a bijection of 64 bits (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// shuffled is the i-th of the numbers 0..n-1 in a random order that seed chooses. It permutes the next power of two
// by invertible steps and goes on until it is back below n.
func shuffled(i, n int, seed uint64) int {
	mask, half := uint64(1), 1
	for mask < uint64(n) {
		mask <<= 1
		half++
	}
	mask, half = mask-1, (half+1)/2
	for x := uint64(i); ; {
		for range 3 {
			x = (x*0x9e3779b97f4a7c15 + mix(seed)) & mask
			x ^= x >> half
		}
		if x < uint64(n) {
			return int(x)
		}
	}
}
