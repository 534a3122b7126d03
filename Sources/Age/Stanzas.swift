/// The stanzas of a header whose types this module knows. Each is checked, whether or not it turns out to be ours.
enum Stanzas {
  case recipients([X25519Stanza])
  case passphrase(ScryptStanza)

  init(in header: Header) throws {
    if let stanza = header.stanzas.first(where: { $0.isOf(type: ScryptStanza.type) }) {
      // A passphrase also authenticates: the reader may assume that the file comes from someone who knows it. A second
      // recipient would break that (c2sp.org/age, "scrypt recipient stanza").
      guard header.stanzas.count == 1 else {
        throw AgeError(.malformedHeader, "scrypt stanza is one of \(header.stanzas.count), expected it alone")
      }
      self = .passphrase(try ScryptStanza(stanza))
    } else {
      self = .recipients(try header.stanzas.filter { $0.isOf(type: X25519Stanza.type) }.map(X25519Stanza.init))
    }
  }
}
