package import Audit
package import Vault

// What a schedule says of a credential, and in which words.
extension RotationSchedule {
  package enum Standing: Hashable, Sendable {
    /// To be worked on now.
    case due(Reason)
    /// Not due before then; the reason is what it will be due for.
    case waiting(until: Timestamp, Reason)
    /// It would be due, but something stands in the way; until then, if that is known.
    case held(until: Timestamp?, Obstacle)
    /// Its policy sets no age, its provider sets no end, and nothing else requires a rotation.
    case unscheduled

    package var isDue: Bool { if case .due = self { true } else { false } }
  }

  package enum Reason: String, Sendable {
    /// The active pair reaches its greatest age.
    case age
    /// The provider ends the active pair automatically before long.
    case ending
    /// Someone who may no longer open the credential could have opened its active pair.
    case exposed
    /// The active pair leaked.
    case leaked
    /// A rotation was begun and is not finished.
    case unfinished
    /// A debt is past its grace.
    case debt
    /// A sink or hook lacks the active pair.
    case delivery

    /// Whether it calls for a new pair, rather than for the end of what was begun.
    package var isForNewPair: Bool { isHeldBack || self == .leaked }

    /// Whether windows and partners can hold it back.
    var isHeldBack: Bool { self == .age || self == .ending || self == .exposed }
  }

  package enum Obstacle: Hashable, Sendable {
    /// Its window is closed.
    case window
    /// Its window is in a time zone that this machine does not know.
    case unknownZone(String)
    /// A credential that it must not rotate together with was rotated in this window, or is being rotated.
    case together(with: String)
    /// A credential that it must not rotate together with has been due for longer, and can begin first.
    case turn(of: String)
    /// The replaced pair is in its grace and holds the staging slot.
    case grace
    /// The last attempts failed; the next one waits.
    case attempts(Int)
    /// A sink or hook lacks the active pair and is tried again then. What it still uses is not retired.
    case undelivered
    /// This many rotations in a row ended with the new pair refused; the next one waits.
    case rejected(Int)
  }

  /// A credential that must not rotate together with another, and where it stands.
  package struct Partner: Sendable {
    package let credential: Credential
    package let journal: RotationJournal?
    /// Whether a run holds its lease: what waits within a run goes on without looking at others again.
    package let isAtWork: Bool
    /// The credentials it must not rotate together with, if it waits after attempts in which it asked for nothing.
    let partners: [Credential]

    package init(
      credential: Credential, journal: RotationJournal?, isAtWork: Bool = false, partners: [Credential] = []
    ) {
      self.credential = credential
      self.journal = journal
      self.isAtWork = isAtWork
      self.partners = partners
    }
  }
}
