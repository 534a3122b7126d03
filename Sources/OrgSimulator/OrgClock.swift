package import FoundationEssentials

/// The org's own time: an offset from the real clock, or a fixed instant that moves only when told to.
package enum OrgClock: Sendable, Equatable {
  case offset(Double)
  case fixed(Date)

  package static let real = OrgClock.offset(0)

  /// What the org believes the time to be. The only place where the simulator reads the real clock.
  package var now: Date {
    switch self {
    case .offset(let seconds): Date().addingTimeInterval(seconds)
    case .fixed(let date): date
    }
  }

  package mutating func advance(by seconds: Double) {
    switch self {
    case .offset(let current): self = .offset(current + seconds)
    case .fixed(let date): self = .fixed(date.addingTimeInterval(seconds))
    }
  }
}
