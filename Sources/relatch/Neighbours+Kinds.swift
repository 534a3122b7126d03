import Providers
import Rotation
import Sodium

extension Neighbours {
  /// Compares pairs by the kinds of providers that this program knows.
  static func ofKnownKinds() -> Neighbours {
    Neighbours(randomness: .system) { provider, settings in (try? providerKind(provider))?.pairPlace(settings) }
  }
}
