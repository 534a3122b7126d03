package import Audit
import Sodium

extension Credential {
  /// When the active pair is to be replaced: at its greatest age, or in time before the provider ends it, whichever
  /// comes first. Nil if there is neither.
  package var ageLimit: Timestamp? { [maximumAge, endLimit].compactMap { $0 }.min() }

  /// From when on the active pair is to be replaced because the provider will end it: a quarter of its life before
  /// that, and 30 days at most. Nil if the provider has named no end.
  package var endLimit: Timestamp? {
    guard transfer == nil, let active = version(in: .active) else { return nil }
    return active.expires.map(active.limit(endingAt:))
  }

  /// Whether the provider ends the active pair after it made it. An end before that was told wrongly: a duration that was
  /// given as a date, or one that was not renewed with the pair. It still makes the pair due, but nothing else must give
  /// way to it.
  package var endsAfterMaking: Bool {
    guard let active = version(in: .active), let end = active.expires else { return false }
    return end > active.created
  }

  /// When the active pair reaches its greatest age, counted from when the provider made it. Jitter brings the moment
  /// forward, by a share that depends only on the version, so that asking again never moves it.
  package var maximumAge: Timestamp? {
    guard let maxAge = policy.maxAge, let active = version(in: .active), transfer == nil else { return nil }
    guard policy.jitter > .zero else { return active.created + maxAge }
    let seed = SHA256.hash(id.bytes + Array("jitter \(active.number)".utf8)).bytes
    let share = Int64(seed[0]) << 8 | Int64(seed[1])
    return active.created + maxAge + .seconds(-((policy.jitter.components.seconds * share) >> 16))
  }

  /// When the next sink or hook that lacks the active pair is to be tried, or earlier: at once if one was never tried.
  /// Nil if none lacks it.
  private var nextDelivery: Timestamp? { undelivered.map { $0.nextAttempt ?? created }.min() }

  /// The undelivered ones that are tried next: hooks wait until every sink has the version.
  package var deliveredNext: [DeliveryRecord] {
    let files = undelivered.filter(\.isFile)
    return files.isEmpty ? undelivered : files
  }

  /// The earliest moment at which a schedule can have anything to do for the credential; nil if never.
  ///
  /// It may come early: windows, the credentials it must not rotate together with, and pauses after attempts only
  /// delay, and are decided when it has come. It comes late only if a clock that was ahead wrote the date that it
  /// follows from: it depends on nothing but the record, and is stored whenever the record is.
  package var due: Timestamp? {
    if let transfer { return version(in: .active) == nil ? nil : transfer.due }
    guard ended == rotation || graceEnds != nil, exposure == nil, leak == nil, reach == nil else { return .atOnce }
    let rotation = graceEnds ?? ageLimit
    guard let delivery = nextDelivery else { return rotation }
    return min(rotation ?? delivery, delivery)
  }
}

extension Version {
  /// From when on it is to be replaced if its provider ends it at `end`: a quarter of its life before, and 30 days at
  /// most.
  package func limit(endingAt end: Timestamp) -> Timestamp {
    let quarter = max(0, end.milliseconds - created.milliseconds) / 4
    return end + .milliseconds(-min(quarter, 30 * 86_400_000))
  }
}

extension Timestamp {
  /// Before any moment that a vault names.
  static let atOnce = Timestamp(milliseconds: 0)
}

extension DeliveryRecord {
  /// After the n-th failed attempt in a row, the next one waits 1, 2, 4 … minutes, at most 6 hours, so that a cron job
  /// that runs every minute causes no storm.
  package static func pause(afterAttempts attempts: Int) -> Duration {
    attempts == 0 ? .zero : .seconds(min(6 * 3600, 60 << min(attempts - 1, 9)))
  }

  /// When it may be tried again; nil if it was never tried.
  package var nextAttempt: Timestamp? { tried.map { $0 + Self.pause(afterAttempts: Int(attempts)) } }
}
