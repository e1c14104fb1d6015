package redis

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestOracleRandom sends random sequences of commands on few keys to a real Redis and here.
func TestOracleRandom(t *testing.T) {
	addr := startRedis(t)
	for seed := range uint64(12) {
		p := dialPeer(t, addr)
		w := newServer(t, Config{}).dial()
		p.ask(t, encode("flushall"))
		if seed%2 == 1 {
			p.ask(t, encode("hello 3"))
			w.do("hello 3")
		}
		g := commandGenerator{rand.New(rand.NewPCG(seed, 5))}
		var done []string
		for range 1500 {
			line, group := g.command()
			done = append(done, line)
			want, got := p.ask(t, encode(line)), w.do(line)
			if group > 0 {
				want, got = unordered(want, group), unordered(got, group)
			}
			if want != got {
				t.Fatalf("seed %d, after\n%s\nRedis    %.400q\nHoldfast %.400q", seed, strings.Join(done[max(0, len(done)-12):], "\n"), want, got)
			}
		}
		p.Close()
	}
}

type commandGenerator struct{ *rand.Rand }

// command makes a command; group is how many elements of its reply belong together if their order means nothing, 0 if it does.
func (g commandGenerator) command() (line string, group int) {
	templates := [...]string{
		"rpush L E E E", "lpush L E E", "rpush L E E E E E E", "lpop L", "rpop L C", "lrange L I I", "lindex L I", "lset L I E", "lrem L I E", "ltrim L I I", "linsert L before E E",
		"linsert L after E E", "lpos L E", "lpos L E rank R count C", "lpos L E count C maxlen C", "lmove L L left right", "lmove L L right left", "rpoplpush L L", "lmpop 2 L L left count 2",
		"llen L", "lpushx L E",
		"zadd Z F E F E F E", "zadd Z F E F E F E F E F E", "zadd Z nx F E", "zadd Z xx ch F E F E", "zadd Z gt F E", "zadd Z lt ch F E", "zadd Z incr F E", "zincrby Z F E", "zrem Z E E", "zscore Z E",
		"zmscore Z E E E", "zrank Z E", "zrevrank Z E", "zcard Z", "zcount Z M M", "zrange Z I I withscores", "zrange Z I I rev", "zrange Z M M byscore limit I I",
		"zrange Z M M byscore rev", "zrangebyscore Z M M withscores", "zrevrangebyscore Z M M withscores limit C I", "zpopmin Z", "zpopmax Z C", "zmpop 2 Z Z max count 2",
		"zremrangebyrank Z I I", "zremrangebyscore Z M M", "zunion 2 Z Z withscores", "zinter 2 Z Z weights F F withscores", "zdiff 2 Z Z withscores",
		"zunionstore Z 3 Z Z Z aggregate max", "zinterstore Z 2 Z Z aggregate min", "zdiffstore Z 2 Z Z", "zunionstore Z 2 Z S weights 2 3", "zrangestore Z Z I I", "zintercard 2 Z Z",
		"sadd S E E E", "sadd S E E E E E E", "srem S E E", "sismember S E", "smismember S E E", "scard S", "smove S S E", "*sinter S S", "*sunion S S S", "*sdiff S S", "sinterstore S S S",
		"sunionstore S S S", "sdiffstore S S S S", "sintercard 2 S S limit C", "*smembers S", "sort S alpha", "sort L alpha limit C C", "sort Z alpha desc",
		"hset H E E E E", "hdel H E E", "hget H E", "hmget H E E", "hincrby H E I", "*hkeys H", "#hgetall H", "hlen H", "hstrlen H E", "hsetnx H E E",
		"setbit B P 1", "setbit B P 0", "getbit B P", "bitcount B I I", "bitcount B I I bit", "bitpos B 1 I I", "bitpos B 0 I", "bitpos B 0 I I bit", "bitop xor B B B", "bitop and B B B", "bitop not B B",
		"bitfield B set u5 P C get i7 P incrby u3 P I", "bitfield B overflow sat incrby i9 P I overflow fail incrby u4 P C", "getrange B I I", "append B E", "setrange B C E", "strlen B",
		"del A", "type A", "exists A A", "rename A A", "copy A A replace", "renamenx A A", "get A", "lrange A 0 -1", "zrange A 0 -1", "scard A", "persist A",
	}
	line = templates[g.IntN(len(templates))]
	switch line[0] {
	case '*':
		line, group = line[1:], 1
	case '#':
		line, group = line[1:], 2
	}
	words := strings.Fields(line)
	for i, w := range words {
		switch w {
		case "L", "Z", "S", "H", "B":
			words[i] = fmt.Sprintf("%s%d", strings.ToLower(w), g.IntN(3))
			if g.IntN(60) == 0 {
				words[i] = g.key()
			}
		case "A":
			words[i] = g.key()
		case "E":
			words[i] = fmt.Sprintf("e%d", g.IntN(25))
			if g.IntN(8) == 0 {
				words[i] = fmt.Sprint(g.IntN(100) - 50)
			}
		case "I":
			words[i] = fmt.Sprint(g.IntN(16) - 8)
		case "R":
			words[i] = [...]string{"1", "2", "-1", "-2"}[g.IntN(4)]
		case "C":
			words[i] = fmt.Sprint(g.IntN(6))
		case "P":
			words[i] = fmt.Sprint(g.IntN(90))
		case "F":
			words[i] = [...]string{"1", "2", "-1.5", "0.1", "3", "1e10", "inf", "-inf"}[g.IntN(8)]
		case "M":
			words[i] = [...]string{"1", "(1", "2", "-inf", "+inf", "(3", "0", "1e10"}[g.IntN(8)]
		}
	}
	return strings.Join(words, " "), group
}

func (g commandGenerator) key() string { return fmt.Sprintf("%c%d", "lzshb"[g.IntN(5)], g.IntN(3)) }
