import Audit
import JSON

/// Reads the records of many credentials, one after the other. Most are plain, and have the same policy as the one
/// before.
struct CredentialReader {
  /// The policy that was read last, and its text.
  private var policy: (text: [UInt8], policy: Policy)?

  /// What `Credential(decoding:name:)` reads, and throws.
  mutating func credential(decoding bytes: [UInt8], name: String) throws -> Credential {
    if let plain = try? plain(bytes.span, name) { return plain }
    return try Credential(readingInFull: bytes, name: name)
  }

  /// Reads a record that is certainly valid and holds nothing that only few records have; throws for any other, about
  /// which the full reader must decide.
  mutating func plain(_ bytes: borrowing Span<UInt8>, _ name: String) throws(PlainReader.NotPlain) -> Credential {
    var reader = PlainReader()
    try reader.beginObject(bytes)
    let admin = try reader.string("admin", bytes)
    let created = try Self.moment(reader.string("created", bytes), bytes)
    let ended = try reader.optionalCount("ended", bytes)
    let entry = try reader.count("entry", bytes)
    let graceEnds = try reader.optionalString("grace_ends", bytes)
    let id = try reader.string("id", bytes)
    let key = try reader.string("key", bytes)
    let keyed = try reader.optionalCount("keyed", bytes)
    guard bytes.equals(name, at: try reader.string("name", bytes)) else { throw PlainReader.NotPlain() }
    guard reader.takes("policy", bytes) else { throw PlainReader.NotPlain() }
    let policy = try readPolicy(&reader, bytes)
    let provider = try reader.string("provider", bytes)
    let reconciled = try reader.optionalCount("reconciled", bytes)
    let rotation = try reader.count("rotation", bytes)
    guard reader.takes("settings", bytes) else { throw PlainReader.NotPlain() }
    let settings = try Self.strings(&reader, bytes)
    let steps = try reader.count("steps", bytes)
    let format = try reader.count("v", bytes)
    guard reader.takes("versions", bytes) else { throw PlainReader.NotPlain() }
    let versions = try Self.versions(&reader, bytes)
    try reader.endObject(bytes)
    try reader.finish(bytes)

    guard format == Credential.format, ended != 0, reconciled != 0, (steps == 0) == (rotation == 0),
      let steps = UInt32(exactly: steps), let id = Identifier(bytes.text(at: id)),
      ended ?? 0 <= rotation, graceEnds == nil || ended ?? 0 < rotation,
      rotation <= Credential.maximumNumber, versions.last?.number ?? 0 <= Credential.maximumNumber
    else { throw PlainReader.NotPlain() }
    var credential = Credential(
      id: id, name: name, provider: bytes.text(at: provider), settings: settings, policy: policy,
      admin: bytes.text(at: admin), keyID: bytes.text(at: key), created: created, versions: versions,
      rotation: UInt64(rotation), steps: steps, ended: UInt64(ended ?? 0),
      graceEnds: try graceEnds.map { range throws(PlainReader.NotPlain) in try Self.moment(range, bytes) })
    credential.keyed = keyed.map { UInt64($0) }
    credential.reconciled = UInt64(reconciled ?? 0)
    credential.entry = UInt64(entry)
    return credential
  }

  private mutating func readPolicy(
    _ reader: inout PlainReader, _ bytes: borrowing Span<UInt8>
  ) throws(PlainReader.NotPlain) -> Policy {
    var ahead = reader
    let place = try ahead.value(bytes).range
    if let policy, bytes.equals(policy.text.span, at: place) {
      reader = ahead
      return policy.policy
    }
    let texts = try Self.strings(&reader, bytes)
    guard let read = try? Policy(texts) else { throw PlainReader.NotPlain() }
    policy = (place.map { bytes[$0] }, read)
    return read
  }

  /// An object of strings only.
  private static func strings(
    _ reader: inout PlainReader, _ bytes: borrowing Span<UInt8>
  ) throws(PlainReader.NotPlain) -> [String: String] {
    try reader.beginObject(bytes)
    var strings: [String: String] = [:]
    var last: Range<Int>?
    while let name = try reader.name(after: last, bytes) {
      last = name
      strings[bytes.text(at: name)] = bytes.text(at: try reader.string(bytes))
    }
    return strings
  }

  /// Versions that do not contradict each other, with one that is active.
  private static func versions(
    _ reader: inout PlainReader, _ bytes: borrowing Span<UInt8>
  ) throws(PlainReader.NotPlain) -> [Version] {
    var versions: [Version] = []
    versions.reserveCapacity(6)
    var (active, staged) = (0, 0)
    try reader.beginArray(bytes)
    while try reader.element(isFirst: versions.isEmpty, bytes) {
      let version = try version(&reader, bytes)
      guard version.number > versions.last?.number ?? 0 else { throw PlainReader.NotPlain() }
      if version.stage == .active { active += 1 }
      if version.stage == .staged { staged += 1 }
      versions.append(version)
    }
    guard active == 1, staged <= 1 else { throw PlainReader.NotPlain() }
    return versions
  }

  private static func version(
    _ reader: inout PlainReader, _ bytes: borrowing Span<UInt8>
  ) throws(PlainReader.NotPlain) -> Version {
    try reader.beginObject(bytes)
    let created = try moment(reader.string("created", bytes), bytes)
    var expires: Timestamp?
    if let range = try reader.optionalString("expires", bytes) { expires = try moment(range, bytes) }
    let handle = try reader.optionalString("handle", bytes)
    let number = try reader.count("number", bytes)
    let since = try moment(reader.string("since", bytes), bytes)
    let name = try reader.string("stage", bytes)
    try reader.endObject(bytes)
    let stage: Stage
    if bytes.equals("retired", at: name) {
      stage = .retired
    } else if bytes.equals("active", at: name) {
      stage = .active
    } else if bytes.equals("previous", at: name) {
      stage = .previous
    } else if bytes.equals("staged", at: name) {
      stage = .staged
    } else {
      throw PlainReader.NotPlain()
    }
    return Version(
      number: UInt64(number), stage: stage, created: created, since: since,
      handle: handle.map { bytes.text(at: $0) }, expires: expires)
  }

  private static func moment(
    _ range: Range<Int>, _ bytes: borrowing Span<UInt8>
  ) throws(PlainReader.NotPlain) -> Timestamp {
    guard let moment = Timestamp(bytes, at: range) else { throw PlainReader.NotPlain() }
    return moment
  }
}
