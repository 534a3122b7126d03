package import Audit
import Storage
package import Vault

extension VaultView {
  /// Who is at work on `credential` at `now`, for a person; nil if nobody is, as far as can be told from here. `isGone`
  /// says that the holder of a lease is a dead process.
  package func runAtWork(
    on credential: Credential, now: Timestamp, isGone: (_ holder: String) -> Bool
  ) throws -> String? {
    guard let held = try leaseHolder(of: RotationRunner.leaseName(of: credential)), held.lasts(at: now.milliseconds),
      !isGone(RotationRunner.process(holding: held.holder).words)
    else { return nil }
    return RotationRunner.briefly(held.holder)
  }
}
