/// One hand at a time: the right to act on something, with a fencing number that only grows.
///
/// A lease is a row, so taking, checking and releasing it are part of the transaction that acts. A holder that was
/// stopped and wakes up after another has taken the lease fails `require`, whatever its clock says: numbers decide, and
/// time only says when taking over is polite.
package struct Lease: Hashable, Sendable {
  package let name: String
  /// Greater than the number of every lease of this name before it.
  package let fencing: UInt64

  package init(name: String, fencing: UInt64) {
    self.name = name
    self.fencing = fencing
  }
}

/// What is known of a lease's current holder.
package struct LeaseHolder: Hashable, Sendable {
  /// Who holds it, in the words it was taken with. Not secret.
  package let holder: String
  /// When it may be taken over, in milliseconds since 1970 (UTC).
  package let expires: Int64
  package let fencing: UInt64

  package init(holder: String, expires: Int64, fencing: UInt64) {
    self.holder = holder
    self.expires = expires
    self.fencing = fencing
  }

  /// No lease lasts longer than this many milliseconds: a later expiry comes from a clock that was ahead, and does not
  /// count.
  package static let maximumDuration: Int64 = 3_600_000

  /// Whether the lease still lasts at `now`: nobody may take it over because of the time.
  package func lasts(at now: Int64) -> Bool { expires > now && !expiresTooFarAhead(at: now) }

  fileprivate func expiresTooFarAhead(at now: Int64) -> Bool { expires > now.saturatingAdd(Self.maximumDuration) }
}

extension Table {
  /// Row per lease name: fencing number (8 bytes, big-endian), expiry in milliseconds since 1970 (8 bytes, big-endian,
  /// two's complement), then the holder in UTF-8; an empty holder means released.
  package static let leases = Table("leases")
}

extension ReadTransaction {
  /// Who holds the lease `name`, or nil if nobody does.
  package func leaseHolder(of name: String) throws -> LeaseHolder? {
    guard let row = try value(in: .leases, for: Array(name.utf8)) else { return nil }
    let state = try LeaseHolder(row: row, name: name)
    return state.holder.isEmpty ? nil : state
  }

  /// Fails with `leaseLost` unless `lease` is still the newest of its name and not released.
  package func require(_ lease: Lease) throws { _ = try holder(of: lease) }

  fileprivate func holder(of lease: Lease) throws -> LeaseHolder {
    guard let state = try leaseHolder(of: lease.name), state.fencing == lease.fencing else {
      throw StorageError(.leaseLost, "the lease on \(lease.name) (number \(lease.fencing)) was taken over or released")
    }
    return state
  }
}

extension WriteTransaction {
  /// Takes the lease `name` for `milliseconds` from `now`.
  ///
  /// Takes it if it is free, has expired, expires later than any lease may, or if `isGone` says that its holder need
  /// not be waited for: a dead process, which needs no clock to confirm, or a run that the caller overtakes. Otherwise
  /// throws `leaseHeld`, naming the holder.
  package func acquireLease(
    _ name: String, holder: String, now: Int64, milliseconds: Int64, isGone: (_ holder: String) -> Bool
  ) throws -> Lease {
    let row = try value(in: .leases, for: Array(name.utf8))
    let last = try row.map { try LeaseHolder(row: $0, name: name) }
    if let last, !last.holder.isEmpty, last.lasts(at: now), !isGone(last.holder) {
      throw StorageError(.leaseHeld, "\(name) is held by another run (\(last.holder))")
    }
    let (fencing, isExhausted) = (last?.fencing ?? 0).addingReportingOverflow(1)
    guard !isExhausted else { throw StorageError(.corrupt, "the lease on \(name) has reached the last number") }
    let lease = Lease(name: name, fencing: fencing)
    try store(lease, holder: holder, expires: now.saturatingAdd(milliseconds))
    return lease
  }

  /// Extends `lease` to `milliseconds` from `now`; writes nothing if it already lasts at least `enough` milliseconds.
  /// Shortens a lease that was taken by a clock that was ahead. Throws `leaseLost` if it was taken over or released.
  package func renew(_ lease: Lease, now: Int64, milliseconds: Int64, unlessItLasts enough: Int64 = .max) throws {
    let state = try holder(of: lease)
    guard state.expires < now.saturatingAdd(enough) || state.expiresTooFarAhead(at: now) else { return }
    try store(lease, holder: state.holder, expires: now.saturatingAdd(milliseconds))
  }

  /// Gives `lease` back; its number is never used again. Throws `leaseLost` if it was taken over or released.
  package func release(_ lease: Lease) throws {
    try require(lease)
    try store(lease, holder: "", expires: 0)
  }

  private func store(_ lease: Lease, holder: String, expires: Int64) throws {
    try set(
      lease.fencing.bigEndianBytes + expires.bigEndianBytes + Array(holder.utf8), in: .leases,
      for: Array(lease.name.utf8))
  }
}

extension Int64 {
  /// The sum, or the last time there is: an expiry far in the future must not stop the process.
  fileprivate func saturatingAdd(_ other: Int64) -> Int64 {
    let (sum, overflows) = addingReportingOverflow(other)
    return overflows ? (other > 0 ? .max : .min) : sum
  }
}

extension LeaseHolder {
  init(row: [UInt8], name: String) throws {
    guard row.count >= 16, let fencing = UInt64(bigEndianBytes: row[0..<8]),
      let expires = Int64(bigEndianBytes: row[8..<16]),
      let holder = String(validating: row[16...], as: UTF8.self)
    else { throw StorageError(.corrupt, "the lease on \(name) is not readable") }
    self.init(holder: holder, expires: expires, fencing: fencing)
  }
}
