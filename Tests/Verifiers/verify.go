// Checks notes and proofs with Go's golang.org/x/mod/sumdb/note and tlog, which share nothing with Relatch:
//
//	verify note KEY NOTE...                a signed checkpoint each
//	verify cosigned KEY WITNESS-KEY NOTE   a checkpoint that a witness signed, too (c2sp.org/tlog-cosignature)
//	verify proof KEY PROOF ENTRY           a tlog-proof and the entry it is of
//	verify bits KEY PROOF ENTRY            the same with any one bit of either file flipped: each must be refused
//	verify trees PROOFS EVERY              proofs of whole trees, and with one bit of them flipped: each must be refused
//
// PROOFS has a line for each root, "root SIZE HASH", and for each proof, "inclusion INDEX SIZE HASH..." or "consistency FIRST
// SECOND HASH...". Leaf i is the byte i. In trees of up to EVERY leaves each bit is flipped, in larger ones each hash has one
// that changes from proof to proof.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	err := fmt.Errorf("usage: verify note|proof|bits|trees ...")
	if arguments := os.Args; len(arguments) > 2 {
		switch arguments[1] {
		case "note":
			for _, path := range arguments[3:] {
				if _, _, err = checkpoint(arguments[2], read(path)); err != nil {
					break
				}
			}
		case "cosigned":
			err = cosigned(arguments[2], arguments[3], read(arguments[4]))
		case "proof":
			err = proof(arguments[2], read(arguments[3]), read(arguments[4]))
		case "bits":
			err = bits(arguments[2], read(arguments[3]), read(arguments[4]))
		case "trees":
			every, _ := strconv.ParseInt(arguments[3], 10, 64)
			err = trees(string(read(arguments[2])), every)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(path string) []byte {
	content, err := os.ReadFile(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return content
}

// Go's decoders let unused bits under base64's padding pass, which changes no byte; here they do not.
func strict(text string) error {
	_, err := base64.StdEncoding.Strict().DecodeString(text)
	return err
}

func hash(text string) (tlog.Hash, error) {
	if err := strict(text); err != nil {
		return tlog.Hash{}, err
	}
	return tlog.ParseHash(text)
}

func checkpoint(key string, signed []byte) (int64, tlog.Hash, error) {
	none := tlog.Hash{}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return 0, none, err
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return 0, none, err
	}
	for _, signature := range opened.Sigs {
		if err := strict(signature.Base64); err != nil {
			return 0, none, err
		}
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || len(opened.UnverifiedSigs) > 0 {
		return 0, none, fmt.Errorf("not a checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || strconv.FormatInt(size, 10) != lines[1] {
		return 0, none, fmt.Errorf("not a size: %q", lines[1])
	}
	root, err := hash(lines[2])
	return size, root, err
}

// A note.Verifier of cosignature/v1, whose signatures begin with the time of eight bytes and are over two lines more.
type witness struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (w witness) Name() string    { return w.name }
func (w witness) KeyHash() uint32 { return w.hash }

func (w witness) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(signature), text)
	return ed25519.Verify(w.key, []byte(message), signature[8:])
}

func newWitness(key string) (witness, error) {
	parts := strings.SplitN(key, "+", 3)
	if len(parts) != 3 {
		return witness{}, fmt.Errorf("not a key: %q", key)
	}
	material, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil || len(material) != 1+ed25519.PublicKeySize || material[0] != 4 {
		return witness{}, fmt.Errorf("not a witness's key: %q", key)
	}
	digest := sha256.Sum256(append([]byte(parts[0]+"\n"), material...))
	if hex.EncodeToString(digest[:4]) != parts[1] {
		return witness{}, fmt.Errorf("another hash: %q", key)
	}
	return witness{parts[0], binary.BigEndian.Uint32(digest[:4]), material[1:]}, nil
}

func cosigned(key, witnessKey string, signed []byte) error {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return err
	}
	other, err := newWitness(witnessKey)
	if err != nil {
		return err
	}
	opened, err := note.Open(signed, note.VerifierList(verifier, other))
	if err != nil {
		return err
	}
	if len(opened.Sigs) != 2 || len(opened.UnverifiedSigs) != 0 {
		return fmt.Errorf("%d of two signatures", len(opened.Sigs))
	}
	return nil
}

// c2sp.org/tlog-proof
func proof(key string, content, entry []byte) error {
	head, signed, found := bytes.Cut(content, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !found || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "index ") {
		return fmt.Errorf("not a tlog-proof")
	}
	index, err := strconv.ParseInt(lines[1][6:], 10, 64)
	if err != nil || strconv.FormatInt(index, 10) != lines[1][6:] {
		return fmt.Errorf("not an index: %q", lines[1])
	}
	var path tlog.RecordProof
	for _, line := range lines[2:] {
		node, err := hash(line)
		if err != nil {
			return err
		}
		path = append(path, node)
	}
	size, root, err := checkpoint(key, signed)
	if err != nil {
		return err
	}
	if index < 0 || index >= size {
		return fmt.Errorf("entry %d of %d", index, size)
	}
	return tlog.CheckRecord(path, size, root, index, tlog.RecordHash(entry))
}

func bits(key string, content, entry []byte) error {
	refused := 0
	for _, file := range [][]byte{content, entry} {
		for bit := 0; bit < len(file)*8; bit++ {
			file[bit/8] ^= 1 << (bit % 8)
			if proof(key, content, entry) == nil {
				return fmt.Errorf("accepted with bit %d of %d bytes flipped", bit, len(file))
			}
			file[bit/8] ^= 1 << (bit % 8)
			refused++
		}
	}
	fmt.Printf("refused %d\n", refused)
	return proof(key, content, entry)
}

func trees(content string, every int64) error {
	roots := map[int64]tlog.Hash{}
	accepted, refused := 0, 0
	for _, line := range strings.Split(strings.TrimSpace(content), "\n") {
		words := strings.Fields(line)
		var hashes []tlog.Hash
		for _, word := range words[3:] {
			node, err := hash(word)
			if err != nil {
				return err
			}
			hashes = append(hashes, node)
		}
		first, err := strconv.ParseInt(words[1], 10, 64)
		if err != nil {
			return err
		}
		if words[0] == "root" {
			if roots[first], err = hash(words[2]); err != nil {
				return err
			}
			continue
		}
		second, err := strconv.ParseInt(words[2], 10, 64)
		if err != nil {
			return err
		}
		root := roots[second]
		// What is flipped: the path, the root, and the leaf's hash or the first root.
		all := append(append([]tlog.Hash{}, hashes...), root)
		check := func() error {
			return tlog.CheckRecord(all[:len(hashes)], second, all[len(hashes)], first, all[len(hashes)+1])
		}
		if words[0] == "inclusion" {
			all = append(all, tlog.RecordHash([]byte{byte(first)}))
		} else {
			all = append(all, roots[first])
			check = func() error {
				return tlog.CheckTree(all[:len(hashes)], second, all[len(hashes)], first, all[len(hashes)+1])
			}
		}
		if err := check(); err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
		accepted++
		for index := range all {
			for bit := 0; bit < 256; bit++ {
				if second > every && bit != (int(first*31+second*17)+index*11)%256 {
					continue
				}
				all[index][bit/8] ^= 1 << (bit % 8)
				if check() == nil {
					return fmt.Errorf("accepted with bit %d of hash %d flipped: %s", bit, index, line)
				}
				all[index][bit/8] ^= 1 << (bit % 8)
				refused++
			}
		}
	}
	fmt.Printf("accepted %d, refused %d\n", accepted, refused)
	return nil
}
